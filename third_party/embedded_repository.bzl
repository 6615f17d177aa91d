"""A repository that consists of files of this one."""

def _embedded_repository_impl(repository_ctx):
    for label, path in repository_ctx.attr.files.items():
        repository_ctx.symlink(label, path)
    repository_ctx.file("WORKSPACE", "", executable = False)

embedded_repository = repository_rule(
    implementation = _embedded_repository_impl,
    doc = "Makes a repository of checked-in files; unlike local_repository it also works for a consumer's workspace.",
    attrs = {
        "files": attr.label_keyed_string_dict(
            mandatory = True,
            allow_files = True,
            doc = "Files of ours, and the path that each has in the repository.",
        ),
    },
)
