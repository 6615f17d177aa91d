"""How GCC for Linux on arm64 is called: everything linked into one program, as no library for arm64 is beside it."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)

_COMPILE_ACTIONS = [
    ACTION_NAMES.assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.preprocess_assemble,
]

_LINK_ACTIONS = [
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

# Nothing of the machine or of the moment ends up in what is built.
_REPRODUCIBLE = [
    "-fno-canonical-system-headers",
    "-no-canonical-prefixes",
    "-Wno-builtin-macro-redefined",
    "-D__DATE__=\"redacted\"",
    "-D__TIMESTAMP__=\"redacted\"",
    "-D__TIME__=\"redacted\"",
]

def _flags(name, actions, flags, with_features = []):
    return feature(
        name = name,
        enabled = True,
        flag_sets = [flag_set(
            actions = actions,
            flag_groups = [flag_group(flags = flags)],
            with_features = with_features,
        )],
    )

def _mode(name, flags):
    return _flags(
        name + "_flags",
        _COMPILE_ACTIONS,
        flags,
        [with_feature_set(features = [name])],
    )

def _linux_toolchain_config_impl(ctx):
    compiler = ctx.attr.compiler
    binutils = "/usr/bin/aarch64-linux-gnu-"

    features = [
        feature(name = "dbg"),
        feature(name = "fastbuild"),
        feature(name = "opt"),
        _flags("default_flags", _COMPILE_ACTIONS, [
            "-fno-omit-frame-pointer",
            "-fstack-protector",
        ]),
        _mode("dbg", ["-g"]),
        _mode("opt", ["-O2", "-DNDEBUG"]),
        _flags("default_link_flags", _LINK_ACTIONS, [
            "-static",
        ]),
        # Last, as everything before needs them.
        _flags("default_link_libraries", _LINK_ACTIONS, [
            "-lstdc++",
            "-lm",
        ]),
        feature(
            name = "unfiltered_compile_flags",
            enabled = True,
            flag_sets = [flag_set(
                actions = _COMPILE_ACTIONS,
                flag_groups = [flag_group(flags = _REPRODUCIBLE)],
            )],
        ),
    ]

    # Bazel's own, which the oldest has too.
    # buildifier: disable=native-cc-common
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "glibc",
        abi_version = "gcc",
        compiler = "gcc",
        cxx_builtin_include_directories = ctx.attr.include_directories,
        features = features,
        host_system_name = "linux",
        target_cpu = "aarch64",
        target_libc = "glibc",
        target_system_name = "aarch64-linux-gnu",
        tool_paths = [
            tool_path(name = name, path = path)
            for name, path in {
                "ar": binutils + "ar",
                "cpp": compiler,
                "dwp": "/bin/false",
                "gcc": compiler,
                "gcov": "/bin/false",
                "ld": binutils + "ld",
                "nm": binutils + "nm",
                "objcopy": binutils + "objcopy",
                "objdump": binutils + "objdump",
                "strip": binutils + "strip",
            }.items()
        ],
        toolchain_identifier = "ioring-linux-arm64",
    )

linux_toolchain_config = rule(
    implementation = _linux_toolchain_config_impl,
    doc = "The configuration of a cc_toolchain that calls GCC for arm64 where its package has put it.",
    attrs = {
        "compiler": attr.string(mandatory = True, doc = "GCC's absolute path."),
        "include_directories": attr.string_list(mandatory = True, doc = "The compiler's own, absolute."),
    },
    provides = [CcToolchainConfigInfo],
)
