"""The cross toolchain for Linux on arm64, with modules."""

load(":repository.bzl", "linux_cross")

def _linux_cross_extension_impl(_module_ctx):
    linux_cross(name = "ioring_linux_cross")

linux_cross_extension = module_extension(
    implementation = _linux_cross_extension_impl,
    doc = "Declares @ioring_linux_cross.",
)
