"""The cross toolchain for Windows, with modules."""

load(":repository.bzl", "windows_cross")

def _windows_cross_extension_impl(_module_ctx):
    windows_cross(name = "ioring_windows_cross")

windows_cross_extension = module_extension(
    implementation = _windows_cross_extension_impl,
    doc = "Declares @ioring_windows_cross.",
)
