"""How the cross compiler for macOS is called: Clang 17 with the headers of macOS 14, for macOS 11 and later.

What Bazel adds by itself for macOS (target_libc "macosx") is left as it is; the driver understands it.
"""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
)
load("//bazel:cross_toolchain.bzl", "COMPILE_ACTIONS", "REPRODUCIBLE", "compile_features")

_CPP_ACTIONS = [
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
]

# As the C++ libraries were built.
_LIBRARY_DEFINES = [
    "-D_LIBCPP_ABI_NAMESPACE=__1",
    "-D_LIBCPP_ABI_VERSION=1",
    "-D_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
    "-D_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS",
    "-D_LIBCPP_PSTL_CPU_BACKEND_SERIAL",
    "-D_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS",
]

def _system(directories):
    return [flag for directory in directories for flag in ["-isystem", directory]]

def _macos_toolchain_config_impl(ctx):
    tools = ctx.attr.tools
    processor = ctx.attr.processor
    zig = tools + "/zig/lib"
    cpp_headers = [zig + "/libcxx/include", zig + "/libcxxabi/include"]
    c_headers = [zig + "/include", zig + "/libc/include/any-macos-any"]

    features = compile_features([
        "-target",
        processor + "-apple-macos11.7",
        "-nostdinc",
        "-fstack-protector",
        "-fno-omit-frame-pointer",
        "-fcolor-diagnostics",
    ]) + [
        # Last, as a program's own folders come first.
        feature(
            name = "unfiltered_compile_flags",
            enabled = True,
            flag_sets = [
                flag_set(
                    actions = _CPP_ACTIONS,
                    flag_groups = [flag_group(flags = _system(cpp_headers) + _LIBRARY_DEFINES)],
                ),
                flag_set(
                    actions = COMPILE_ACTIONS,
                    flag_groups = [flag_group(
                        flags = _system(c_headers) + ["-iframework", tools + "/frameworks"] + REPRODUCIBLE,
                    )],
                ),
            ],
        ),
        feature(
            name = "archiver_flags",
            enabled = True,
            flag_sets = [flag_set(
                actions = [ACTION_NAMES.cpp_link_static_library],
                flag_groups = [
                    flag_group(flags = ["rcsD", "--format=darwin", "%{output_execpath}"]),
                    flag_group(
                        flag_groups = [flag_group(flags = ["%{libraries_to_link.name}"])],
                        expand_if_available = "libraries_to_link",
                        iterate_over = "libraries_to_link",
                    ),
                ],
            )],
        ),
    ]

    # Bazel's own, which the oldest has too.
    # buildifier: disable=native-cc-common
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "macosx",
        abi_version = "darwin",
        compiler = "clang",
        cxx_builtin_include_directories = cpp_headers + c_headers + [tools + "/frameworks"],
        features = features,
        host_system_name = "linux",
        target_cpu = "darwin_" + ctx.label.name.replace("_config", ""),
        target_libc = "macosx",
        target_system_name = processor + "-apple-macos",
        tool_paths = [
            tool_path(name = name, path = processor + "-" + tool)
            for name, tool in {
                "ar": "ar",
                "cpp": "cc",
                "dwp": "unavailable",
                "gcc": "cc",
                "gcov": "unavailable",
                "ld": "cc",
                "nm": "unavailable",
                "objcopy": "unavailable",
                "objdump": "unavailable",
                "strip": "unavailable",
            }.items()
        ],
        toolchain_identifier = "ioring-" + ctx.label.name,
    )

macos_toolchain_config = rule(
    implementation = _macos_toolchain_config_impl,
    doc = "The configuration of a cc_toolchain that calls driver, which repository.bzl has put beside it.",
    attrs = {
        "processor": attr.string(mandatory = True, doc = "As the compiler calls it: aarch64 or x86_64."),
        "tools": attr.string(mandatory = True, doc = "The folder that `install` has made."),
    },
    provides = [CcToolchainConfigInfo],
)
