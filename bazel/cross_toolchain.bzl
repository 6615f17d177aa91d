"""What the configurations of cross toolchains share: their flags, and all of how GCC is called."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)

COMPILE_ACTIONS = [
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
REPRODUCIBLE = [
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
        COMPILE_ACTIONS,
        flags,
        [with_feature_set(features = [name])],
    )

def compile_features(flags):
    """The features of how everything is compiled.

    Args:
      flags: in every mode, before those of the mode and of the target.

    Returns:
      A list of features.
    """
    return [
        feature(name = "dbg"),
        feature(name = "fastbuild"),
        feature(name = "opt"),
        _flags("default_flags", COMPILE_ACTIONS, flags),
        _mode("dbg", ["-g"]),
        _mode("opt", ["-O2", "-DNDEBUG"]),
    ]

def _gcc_features(compile_flags, link_flags, libraries):
    return compile_features(compile_flags) + [
        _flags("default_link_flags", _LINK_ACTIONS, link_flags),
        # Last, as everything before needs them.
        _flags("default_link_libraries", _LINK_ACTIONS, libraries),
        _flags("unfiltered_compile_flags", COMPILE_ACTIONS, ["-fno-canonical-system-headers"] + REPRODUCIBLE),
    ]

# Attributes of a rule that calls gcc_toolchain_config_info.
GCC_ATTRS = {
    "compiler": attr.string(mandatory = True, doc = "GCC's absolute path."),
    "include_directories": attr.string_list(mandatory = True, doc = "The compiler's own, absolute."),
}

def gcc_toolchain_config_info(ctx, binutils, compile_flags, link_flags, libraries, **attributes):
    """How a GCC is called that Debian's package has installed for another system.

    Args:
      ctx: of a rule with GCC_ATTRS.
      binutils: what the paths of ar, ld and so on begin with.
      compile_flags: in every mode.
      link_flags: before the objects.
      libraries: after all objects.
      **attributes: further ones of create_cc_toolchain_config_info, which say what system it is.

    Returns:
      A CcToolchainConfigInfo.
    """
    compiler = ctx.attr.compiler

    # Bazel's own, which the oldest has too.
    # buildifier: disable=native-cc-common
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        cxx_builtin_include_directories = ctx.attr.include_directories,
        features = _gcc_features(compile_flags, link_flags, libraries),
        host_system_name = "linux",
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
        **attributes
    )
