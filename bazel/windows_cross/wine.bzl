"""What Bazel runs programs for Windows under."""

def _wine_runner_impl(ctx):
    runner = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = runner, target_file = ctx.file.script, is_executable = True)
    return [DefaultInfo(
        executable = runner,
        files = depset([runner]),
        runfiles = ctx.runfiles(files = [runner, ctx.file.script]),
    )]

wine_runner = rule(
    implementation = _wine_runner_impl,
    doc = "A shell script as a program. A sh_binary for Windows would be wrapped in a program for Windows.",
    attrs = {"script": attr.label(
        mandatory = True,
        allow_single_file = True,
        doc = "The script, which Linux runs.",
    )},
    executable = True,
)
