"""The repository that holds the cross toolchain for Windows. It is made when a build for Windows first asks for it."""

load("//bazel:cross_repository.bzl", "install_gcc")

def _windows_cross_impl(repository_ctx):
    installed = install_gcc(
        repository_ctx,
        what = "the cross compiler for Windows and Wine",
        config = "windows_toolchain_config",
        cpu = "x64_windows",
        name = "x86_64",
        scripts = ["wine"],
    )
    repository_ctx.template(
        "wine",
        repository_ctx.attr._wine,
        {"%{prefix}": installed["prefix"], "%{programs}": installed["programs"]},
        executable = True,
    )

windows_cross = repository_rule(
    implementation = _windows_cross_impl,
    doc = "Installs MinGW-w64 and Wine, and declares a cc_toolchain and the script that runs programs for Windows.",
    attrs = {
        "_install": attr.label(default = Label("//bazel/windows_cross:install")),
        "_installed": attr.label_list(default = [
            Label("//bazel/windows_cross:make_prefix"),
            Label("//bazel:packages.sh"),
        ]),
        "_toolchain_bzl": attr.label(default = Label("//bazel/windows_cross:toolchain.bzl")),
        "_wine": attr.label(default = Label("//bazel/windows_cross:wine.sh")),
    },
    environ = ["HOME"],
)
