"""The repository that holds the cross toolchains for macOS. It is made when a build for macOS first asks for it."""

_BUILD = """\
load("@rules_cc//cc:defs.bzl", "cc_toolchain", "cc_toolchain_suite")
load("{toolchain_bzl}", "macos_toolchain_config")

package(default_visibility = ["//visibility:public"])

filegroup(name = "none")

filegroup(
    name = "tools",
    srcs = glob(["*-ar", "*-cc", "*-unavailable"]),
)

# Bazel before 7 asks here for some things, whatever the platform is.
cc_toolchain_suite(
    name = "suite",
    toolchains = {{
        "darwin_arm64": ":arm64",
        "darwin_x86_64": ":x86_64",
    }},
)
"""

_TOOLCHAIN = """
macos_toolchain_config(
    name = "{name}_config",
    tools = "{tools}",
    processor = "{processor}",
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

# The processor's name, to Bazel and to the compiler.
_PROCESSORS = {"arm64": "aarch64", "x86_64": "x86_64"}

def _macos_cross_impl(repository_ctx):
    driver = repository_ctx.read(repository_ctx.attr._driver)

    # Bazel makes the repository again when one of these changes.
    for file in repository_ctx.attr._installed:
        repository_ctx.path(file)
    result = repository_ctx.execute([repository_ctx.path(repository_ctx.attr._install)], timeout = 1800)
    if result.return_code != 0:
        fail("the cross compiler for macOS could not be installed:\n" + result.stderr)
    tools = result.stdout.strip()

    # Bazel before 6 writes its main workspace without a name.
    toolchain_bzl = str(repository_ctx.attr._toolchain_bzl)
    if toolchain_bzl.startswith("//"):
        toolchain_bzl = "@ioring" + toolchain_bzl
    build = _BUILD.format(toolchain_bzl = toolchain_bzl)
    for name, processor in _PROCESSORS.items():
        build += _TOOLCHAIN.format(name = name, processor = processor, tools = tools)
        for tool in ["ar", "cc", "unavailable"]:
            repository_ctx.file(
                "%s-%s" % (processor, tool),
                driver.replace("%{processor}", processor).replace("%{tools}", tools).replace("%{tool}", tool),
                executable = True,
            )
    repository_ctx.file("BUILD.bazel", build, executable = False)
    repository_ctx.file("WORKSPACE", "", executable = False)

macos_cross = repository_rule(
    implementation = _macos_cross_impl,
    doc = "Installs the cross compiler for macOS and declares a cc_toolchain for each processor.",
    attrs = {
        "_driver": attr.label(default = Label("//bazel/macos_cross:driver")),
        "_install": attr.label(default = Label("//bazel/macos_cross:install")),
        "_installed": attr.label_list(default = [
            Label("//bazel/macos_cross:frameworks/CoreFoundation.framework/CoreFoundation.tbd"),
            Label("//bazel/macos_cross:frameworks/CoreFoundation.framework/Headers/CFTimeZone.h"),
            Label("//bazel/macos_cross:npm/package-lock.json"),
            Label("//bazel/macos_cross:npm/package.json"),
        ]),
        "_toolchain_bzl": attr.label(default = Label("//bazel/macos_cross:toolchain.bzl")),
    },
    environ = ["HOME"],
)
