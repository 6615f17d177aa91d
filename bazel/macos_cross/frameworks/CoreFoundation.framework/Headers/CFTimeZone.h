// What Abseil asks of CoreFoundation, which the cross compiler does not have: the name of the
// system's time zone. Builds on macOS have the system's own header. Source:
// developer.apple.com/documentation/corefoundation.
#ifndef IORING_BAZEL_MACOS_CROSS_CFTIMEZONE_H_
#define IORING_BAZEL_MACOS_CROSS_CFTIMEZONE_H_

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned char Boolean;
typedef signed long CFIndex;
typedef unsigned int CFStringEncoding;
typedef const void* CFTypeRef;
typedef const struct __CFString* CFStringRef;
typedef const struct __CFTimeZone* CFTimeZoneRef;

enum { kCFStringEncodingUTF8 = 0x08000100 };

CFTimeZoneRef CFTimeZoneCopyDefault(void);
CFStringRef CFTimeZoneGetName(CFTimeZoneRef zone);
CFIndex CFStringGetLength(CFStringRef string);
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding);
Boolean CFStringGetCString(CFStringRef string, char* buffer, CFIndex size,
                           CFStringEncoding encoding);
void CFRelease(CFTypeRef object);

#ifdef __cplusplus
}
#endif

#endif  // IORING_BAZEL_MACOS_CROSS_CFTIMEZONE_H_
