# For scripts that install what they need: install_packages. To be read by them, not run.

# Installs Debian's packages "$@", as root or through sudo; fails where that cannot be.
install_packages() {
  local as_root=(env)
  command -v apt-get >/dev/null || return 1
  if [[ $(id -u) != 0 ]]; then
    sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n env)
  fi
  # sudo passes nothing on of what a caller sets.
  [[ -z ${RUNLEVEL:-} ]] || as_root+=("RUNLEVEL=${RUNLEVEL}")
  as_root+=(DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
  # A list that is out of date names packages that are gone: update it and try again.
  {
    "${as_root[@]}" install --yes --no-install-recommends "$@" ||
      { "${as_root[@]}" update && "${as_root[@]}" install --yes --no-install-recommends "$@"; }
  } >&2 </dev/null
}
