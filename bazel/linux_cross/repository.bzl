"""The repository that holds the cross toolchain for Linux on arm64. It is made when a build for that first asks for it."""

load("//bazel:cross_repository.bzl", "install_gcc")

def _linux_cross_impl(repository_ctx):
    installed = install_gcc(
        repository_ctx,
        what = "the cross compiler for arm64 and qemu",
        config = "linux_toolchain_config",
        cpu = "aarch64",
        name = "arm64",
        scripts = ["again", "run"],
    )
    repository_ctx.template(
        "run",
        repository_ctx.attr._run,
        {"%{emulator}": installed["emulator"]},
        executable = True,
    )
    repository_ctx.symlink("run", "again")

linux_cross = repository_rule(
    implementation = _linux_cross_impl,
    doc = "Installs GCC for arm64 and qemu, and declares a cc_toolchain and the script that runs programs for arm64.",
    attrs = {
        "_install": attr.label(default = Label("//bazel/linux_cross:install")),
        "_installed": attr.label_list(default = [Label("//bazel:packages.sh")]),
        "_run": attr.label(default = Label("//bazel/linux_cross:run.sh")),
        "_toolchain_bzl": attr.label(default = Label("//bazel/linux_cross:toolchain.bzl")),
    },
)
