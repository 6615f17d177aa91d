"""How MinGW-w64's GCC is called: for Windows 10 and later, everything linked into one program."""

load("@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl", "artifact_name_pattern")
load("//bazel:cross_toolchain.bzl", "GCC_ATTRS", "gcc_toolchain_config_info")

def _windows_toolchain_config_impl(ctx):
    return gcc_toolchain_config_info(
        ctx,
        abi_libc_version = "mingw",
        abi_version = "mingw",
        artifact_name_patterns = [artifact_name_pattern(
            category_name = "executable",
            extension = ".exe",
            prefix = "",
        )],
        binutils = "/usr/bin/x86_64-w64-mingw32-",
        compile_flags = [
            "-fno-omit-frame-pointer",
            # Templates make more sections than the format has numbers for otherwise.
            "-Wa,-mbig-obj",
        ],
        # As Bazel itself calls this compiler on Windows, which Abseil asks for.
        compiler = "mingw-gcc",
        # The C++ library, and what Abseil's clocks, random numbers and stack traces call.
        libraries = [
            "-lstdc++",
            "-ladvapi32",
            "-lbcrypt",
            "-ldbghelp",
        ],
        link_flags = [
            "-static",
            "-Wl,--no-insert-timestamp",
        ],
        target_cpu = "x64_windows",
        target_libc = "mingw",
        target_system_name = "x86_64-w64-mingw32",
        toolchain_identifier = "ioring-windows-x86_64",
    )

windows_toolchain_config = rule(
    implementation = _windows_toolchain_config_impl,
    doc = "The configuration of a cc_toolchain that calls MinGW-w64's compiler where its package has put it.",
    attrs = GCC_ATTRS,
    provides = [CcToolchainConfigInfo],
)
