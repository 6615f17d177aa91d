"""The repository that holds the cross toolchains for macOS. It is made when a build for macOS first asks for it."""

load("//bazel:cross_repository.bzl", "declare", "install")

# The processor's name, to Bazel and to the compiler.
_PROCESSORS = {"arm64": "aarch64", "x86_64": "x86_64"}

def _macos_cross_impl(repository_ctx):
    driver = repository_ctx.read(repository_ctx.attr._driver)
    tools = install(repository_ctx, "the cross compiler for macOS").strip()
    for processor in _PROCESSORS.values():
        for tool in ["ar", "cc", "unavailable"]:
            repository_ctx.file(
                "%s-%s" % (processor, tool),
                driver.replace("%{processor}", processor).replace("%{tools}", tools).replace("%{tool}", tool),
                executable = True,
            )
    declare(
        repository_ctx,
        config = "macos_toolchain_config",
        toolchains = {
            name: struct(
                attributes = {"processor": processor, "tools": tools},
                cpu = "darwin_" + name,
            )
            for name, processor in _PROCESSORS.items()
        },
        tools = 'glob(["*-ar", "*-cc", "*-unavailable"])',
    )

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
