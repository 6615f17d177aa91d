"""Aspects that run clang-tidy on the sources of this repository: bazel/tidy uses them.

An aspect knows each source's own include paths and definitions, and Bazel remembers what it has seen: what has not
changed is not looked at again. The checks are in .clang-tidy.
"""

# Bazel's own: third_party/rules_cc has none.
_CC_INFO = CcInfo  # buildifier: disable=native-cc-info

def _flags(context):
    flags = ["-D" + define for define in context.defines.to_list() + context.local_defines.to_list()]
    for kind, folders in (
        ("-I", context.includes),
        ("-iquote", context.quote_includes),
        ("-isystem", context.system_includes),
    ):
        for folder in folders.to_list():
            flags += [kind, folder]
    return flags

def _tidy_aspect_impl(target, ctx):
    is_ours = target.label.workspace_name == "" and _CC_INFO in target and hasattr(ctx.rule.attr, "srcs")
    if not is_ours or (ctx.rule.attr.testonly and not ctx.attr._tests):
        return []
    context = target[_CC_INFO].compilation_context
    marks = []
    for source in [file for files in ctx.rule.attr.srcs for file in files.files.to_list()]:
        if source.extension != "cc" or not source.is_source:
            continue
        mark = ctx.actions.declare_file("{}.{}.tidy".format(source.path, target.label.name))
        arguments = ctx.actions.args()
        arguments.add(mark)
        arguments.add(source)
        arguments.add_all(["-std=c++20"] + _flags(context))
        ctx.actions.run(
            executable = ctx.executable._tidy,
            arguments = [arguments],
            inputs = depset([source, ctx.file._checks], transitive = [context.headers]),
            outputs = [mark],
            mnemonic = "ClangTidy",
            progress_message = "Looking at {}".format(source.short_path),
            use_default_shell_env = True,
        )
        marks.append(mark)
    return [OutputGroupInfo(tidy = depset(marks))]

def _make_aspect(tests):
    return aspect(
        implementation = _tidy_aspect_impl,
        attrs = {
            "_checks": attr.label(default = "//:.clang-tidy", allow_single_file = True),
            "_tests": attr.bool(default = tests),
            "_tidy": attr.label(default = "//bazel:run_tidy", executable = True, cfg = "exec"),
        },
    )

# Libraries and programs, which is what CI looks at.
tidy_aspect = _make_aspect(tests = False)

# Tests and what only they use, too.
tidy_tests_aspect = _make_aspect(tests = True)
