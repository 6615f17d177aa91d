"""Which dependencies of a layer the architecture forbids."""

def forbidden_dependencies(name, layers):
    """One file per layer, which lists its forbidden dependencies; all are to be empty.

    Args:
      name: of the filegroup of all files.
      layers: from a library to the packages, a regular expression of alternatives, that it must not use.
    """
    files = []
    for library, forbidden in layers.items():
        file = "uses_of_" + library.strip("/").replace(":", "_").replace("/", "_")
        native.genquery(
            name = file,
            testonly = True,
            expression = 'filter("^//(%s)", deps(%s))' % (forbidden, library),
            scope = [library],
        )
        files.append(":" + file)
    native.filegroup(
        name = name,
        testonly = True,
        srcs = files,
    )
