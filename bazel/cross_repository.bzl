"""What the repositories of cross toolchains share: they install compilers, and declare a cc_toolchain for each.

Their rules have the attributes `_install`, a script, `_installed`, other files that it uses, and `_toolchain_bzl`, a file
with the rule that configures a toolchain.
"""

_BUILD = """\
load("@ioring_rules_cc//cc:defs.bzl", "cc_toolchain", "cc_toolchain_suite")
load("{toolchain_bzl}", "{config}")

package(default_visibility = ["//visibility:public"])

exports_files({scripts})

filegroup(name = "none")

filegroup(
    name = "tools",
    srcs = {tools},
)

# Bazel before 7 asks here for some things, whatever the platform is.
cc_toolchain_suite(
    name = "suite",
    toolchains = {suite},
)
"""

_TOOLCHAIN = """
{config}(
    name = "{name}_config",
    {attributes}
)

cc_toolchain(
    name = "{name}",
    all_files = ":tools",
    ar_files = ":tools",
    as_files = ":tools",
    compiler_files = ":tools",
    dwp_files = ":none",
    linker_files = ":tools",
    objcopy_files = ":none",
    strip_files = ":tools",
    supports_param_files = True,
    toolchain_config = ":{name}_config",
)
"""

def install(repository_ctx, what):
    """Runs `_install`.

    Args:
      repository_ctx: the repository's.
      what: is installed, in words.

    Returns:
      What the script prints.
    """

    # Bazel makes the repository again when one of these changes.
    for file in repository_ctx.attr._installed:
        repository_ctx.path(file)
    result = repository_ctx.execute([repository_ctx.path(repository_ctx.attr._install)], timeout = 1800)
    if result.return_code != 0:
        fail(what + " could not be installed:\n" + result.stderr)
    return result.stdout

def declare(repository_ctx, config, toolchains, tools, scripts = []):
    """Writes the BUILD file.

    Args:
      repository_ctx: the repository's.
      config: the name of the rule in `_toolchain_bzl`.
      toolchains: from a toolchain's name to a struct of its `cpu`, as --cpu has it, and the `attributes` of its `config`.
      tools: the files that a compiler's call depends on, as an expression.
      scripts: files that others may name.
    """

    # Bazel before 6 writes its main workspace without a name.
    toolchain_bzl = str(repository_ctx.attr._toolchain_bzl)
    if toolchain_bzl.startswith("//"):
        toolchain_bzl = "@ioring" + toolchain_bzl
    build = _BUILD.format(
        config = config,
        scripts = repr(scripts),
        suite = repr({toolchain.cpu: ":" + name for name, toolchain in toolchains.items()}),
        toolchain_bzl = toolchain_bzl,
        tools = tools,
    )
    for name, toolchain in toolchains.items():
        build += _TOOLCHAIN.format(
            attributes = "\n    ".join(["%s = %s," % (key, repr(value)) for key, value in toolchain.attributes.items()]),
            config = config,
            name = name,
        )
    repository_ctx.file("BUILD.bazel", build, executable = False)
    repository_ctx.file("WORKSPACE", "", executable = False)

def install_gcc(repository_ctx, what, config, name, cpu, scripts):
    """Runs `_install`, which installs a GCC that one toolchain calls, and writes the BUILD file.

    Args:
      repository_ctx: the repository's.
      what: is installed, in words.
      config: the name of the rule in `_toolchain_bzl`.
      name: the toolchain's.
      cpu: the toolchain's, as --cpu has it.
      scripts: files that others may name.

    Returns:
      What the script prints: from keys to values, and from "include" to a list of them.
    """
    installed = {"include": []}
    for line in install(repository_ctx, what).splitlines():
        key, _, value = line.partition("=")
        if key == "include":
            installed[key].append(value)
        else:
            installed[key] = value

    # Bazel does not look at compilers outside of the workspace when it asks a cache for what it would build. This file
    # says which one it is.
    repository_ctx.file("identity", installed["identity"] + "\n", executable = False)
    declare(
        repository_ctx,
        config = config,
        scripts = scripts,
        toolchains = {name: struct(
            attributes = {"compiler": installed["compiler"], "include_directories": installed["include"]},
            cpu = cpu,
        )},
        tools = repr(["identity"]),
    )
    return installed
