"""A repository made of one pinned source release, from upstream or from a Debian mirror."""

def _debian_mirrors(repository_ctx):
    """Returns the base addresses of the Debian archives that this machine's apt is set up with."""
    apt_get = repository_ctx.which("apt-get")
    if not apt_get:
        return []
    result = repository_ctx.execute([apt_get, "indextargets", "--format", "$(LABEL) $(REPO_URI)"])
    if result.return_code != 0:
        return []
    mirrors = []
    for line in result.stdout.splitlines():
        words = line.strip().split(" ")
        label = words[0] if len(words) == 2 else ""
        mirror = words[-1]

        # Before the first `apt-get update` apt knows the addresses but not the labels.
        if label in ["Debian", "", "$(LABEL)"] and mirror.startswith("http") and mirror not in mirrors:
            mirrors.append(mirror)
    return mirrors

def _pinned_archive_impl(repository_ctx):
    attempts = [
        struct(
            url = mirror + ("" if mirror.endswith("/") else "/") + repository_ctx.attr.debian_path,
            sha256 = repository_ctx.attr.debian_sha256,
            strip_prefix = repository_ctx.attr.debian_strip_prefix,
        )
        for mirror in _debian_mirrors(repository_ctx)
    ] + [
        struct(
            url = url,
            sha256 = repository_ctx.attr.sha256,
            strip_prefix = repository_ctx.attr.strip_prefix,
        )
        for url in repository_ctx.attr.urls
    ]

    fetched = False
    for attempt in attempts:
        if not fetched:
            fetched = repository_ctx.download_and_extract(
                url = attempt.url,
                sha256 = attempt.sha256,
                stripPrefix = attempt.strip_prefix,
                allow_fail = True,
            ).success
    if not fetched:
        fail("%s: no source could be fetched from any of %s" % (
            repository_ctx.name,
            ", ".join([attempt.url for attempt in attempts]),
        ))

    for label, path in repository_ctx.attr.overlay.items():
        repository_ctx.delete(path)
        repository_ctx.symlink(label, path)

    # Bazel before 5 cannot hand an external repository's headers to the compiler as system headers.
    for path in repository_ctx.attr.system_headers:
        repository_ctx.file(
            path,
            "#pragma GCC system_header\n" + repository_ctx.read(path),
            executable = False,
        )

    repository_ctx.file("WORKSPACE", "", executable = False)

pinned_archive = repository_rule(
    implementation = _pinned_archive_impl,
    doc = """Fetches one source release and lays our own files over it.

The Debian source archive of the release is tried first, at the mirrors that apt is set up with, where there is
an apt; it fails at once where there is none or where the mirror does not have it. Then come upstream's addresses.
Debian may have repacked the archive, so each kind has its own checksum.""",
    attrs = {
        "debian_path": attr.string(
            mandatory = True,
            doc = "Where the archive lies under a Debian mirror's base.",
        ),
        "debian_sha256": attr.string(mandatory = True),
        "debian_strip_prefix": attr.string(mandatory = True),
        "overlay": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "Files of ours, and the path that each has in the repository.",
        ),
        "sha256": attr.string(mandatory = True),
        "strip_prefix": attr.string(mandatory = True),
        "system_headers": attr.string_list(
            doc = "Headers that do not pass our warnings: the compiler is told to treat them as the system's.",
        ),
        "urls": attr.string_list(mandatory = True),
    },
)
