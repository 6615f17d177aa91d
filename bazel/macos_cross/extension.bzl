"""The cross toolchains for macOS, with modules."""

load(":repository.bzl", "macos_cross")

def _macos_cross_extension_impl(_module_ctx):
    macos_cross(name = "ioring_macos_cross")

macos_cross_extension = module_extension(
    implementation = _macos_cross_extension_impl,
    doc = "Declares @ioring_macos_cross.",
)
