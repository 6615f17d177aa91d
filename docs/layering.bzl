"""Which dependencies of a layer the architecture forbids."""

def forbidden_dependencies(name, layers, users):
    """One file per layer, which lists its forbidden dependencies; all are to be empty.

    Args:
      name: of the filegroup of all files.
      layers: from a package to those that it may use itself, in one string.
      users: libraries and programs that use all of `layers`, however indirectly.
    """
    all = "deps(set(%s))" % " ".join(users)
    files = []
    for package, allowed in layers.items():
        file = "uses_of_" + package.replace("/", "_")

        # What the package's targets depend on themselves, but for its own, the allowed, and //bazel's settings.
        native.genquery(
            name = file,
            testonly = True,
            expression = 'filter("^//", deps(filter("^//%s:", %s), 1)) except filter("^//(%s):", %s)' %
                         (package, all, "|".join(["bazel", package] + [one for one in allowed.split(" ") if one]), all),
            scope = users,
        )
        files.append(":" + file)
    native.filegroup(
        name = name,
        testonly = True,
        srcs = files,
    )
