"""A program that is built optimised, whatever compilation mode the command line asks for."""

def _optimized_impl(_settings, _attr):
    # Sanitizers and their like are options of their own and stay as they are.
    return {"//command_line_option:compilation_mode": "opt"}

_optimized = transition(
    implementation = _optimized_impl,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)

def _optimized_binary_impl(ctx):
    binary = ctx.executable.binary
    executable = ctx.actions.declare_file(
        ctx.label.name + (".exe" if binary.extension == "exe" else ""),
    )
    ctx.actions.symlink(
        output = executable,
        target_file = binary,
        is_executable = True,
    )
    runfiles = ctx.runfiles(files = [executable, binary])
    return [DefaultInfo(
        executable = executable,
        files = depset([executable]),
        runfiles = runfiles.merge(ctx.attr.binary[DefaultInfo].default_runfiles),
    )]

optimized_binary = rule(
    implementation = _optimized_binary_impl,
    doc = """`binary`, compiled with `--compilation_mode=opt`.

It is the program itself under the target's own name: `bazel run` starts it, and a script that has it in `data` finds it
among its runfiles as `<package>/<name>`. A command line with the same mode still builds it a second time.""",
    attrs = {
        "binary": attr.label(
            mandatory = True,
            cfg = "target",
            doc = "The cc_binary to build.",
            executable = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    cfg = _optimized,
    executable = True,
)
