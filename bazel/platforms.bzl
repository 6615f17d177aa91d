"""Which systems a target is for, where it is not for all of them: values of target_compatible_with."""

POSIX = select({
    "@platforms//os:freebsd": [],
    "@platforms//os:linux": [],
    "@platforms//os:macos": [],
    "@platforms//os:openbsd": [],
    "//conditions:default": ["@platforms//:incompatible"],
})
