# Sourced by bin/quickstart, bin/test and others, not run. Makes .venv in the repository root and fills it.
#
#   . bin/environment.sh; set_up requirements.txt
#
# Sets PYTHON_BIN (the environment's Python) and INSTALLED (not empty if packages were installed now); exports PYTHONPATH,
# TF_CPP_MIN_LOG_LEVEL, and PYTHONSAFEPATH, by which a random.py in the current folder hides no module of Python's. The
# Python that .venv is made with is $PYTHON if that is set, else the first usable one of CANDIDATES. A second call with
# the same files changes nothing and takes well under a second. Interrupted half way, the next call starts anew.

ROOT=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
CANDIDATES=(python3.13 python3.12 python3.11 python3)
VERSIONS="3.11, 3.12 or 3.13" # those that every pinned package has wheels for

die() {
  echo "$(basename -- "$0"): $*" >&2
  exit 1
}

# version PYTHON: prints its version if it runs, is one of VERSIONS, and can make environments; else fails.
# It has to be tried: a pyenv shim exists for versions that are not active, and then only prints an error.
version() {
  "$1" -I -c '
import sys, venv, ensurepip
print("%d.%d.%d" % sys.version_info[:3])
sys.exit(not (3, 11) <= sys.version_info < (3, 14))
' 2>/dev/null
}

# find_python: sets BASE_PYTHON and BASE_VERSION.
find_python() {
  local candidate
  if [[ -n ${PYTHON:-} ]]; then
    BASE_PYTHON=$PYTHON
    BASE_VERSION=$(version "$PYTHON") ||
      die "PYTHON=$PYTHON does not run as Python $VERSIONS with the modules venv and ensurepip"
    return
  fi
  for candidate in "${CANDIDATES[@]}"; do
    if BASE_VERSION=$(version "$candidate"); then
      BASE_PYTHON=$candidate
      return
    fi
  done
  die "no Python $VERSIONS with the modules venv and ensurepip found (tried ${CANDIDATES[*]}); set PYTHON"
}

# stamp FILE PYTHON: what .venv must have been filled from to be up to date with a requirements file and those that it
# names with -r.
stamp() {
  "$2" -I -c '
import hashlib, pathlib, re, sys
def text(file):
    own = file.read_bytes()
    return own + b"".join(text(file.parent / name.decode()) for name in re.findall(rb"^-r (\S+)", own, re.M))
print("%d.%d.%d" % sys.version_info[:3], hashlib.sha256(text(pathlib.Path(sys.argv[1]))).hexdigest())
' "$ROOT/$1" 2>/dev/null
}

# set_up FILE: an environment with the packages of FILE, requirements.txt or another in the repository root.
set_up() {
  local file=$1 start=$SECONDS unfinished=$VENV/.unfinished wanted hashes=()
  PYTHON_BIN=$VENV/bin/python INSTALLED=
  export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2} PYTHONSAFEPATH=1

  # An environment that works is kept, unless $PYTHON asks for another version.
  if [[ -e $unfinished ]] || ! BASE_VERSION=$(version "$PYTHON_BIN") || [[ -n ${PYTHON:-} ]]; then
    find_python
  fi
  if [[ -e $unfinished || $(version "$PYTHON_BIN") != "$BASE_VERSION" ]]; then
    echo "Making ${VENV##*/} with $BASE_PYTHON ($BASE_VERSION)"
    rm -rf -- "$VENV"
    mkdir -- "$VENV"
    : >"$unfinished"
    "$BASE_PYTHON" -I -m venv "$VENV" || die "$BASE_PYTHON -m venv failed"
  fi
  wanted=$(stamp "$file" "$PYTHON_BIN") || die "cannot read $file"
  if [[ ! -e $unfinished && $(cat -- "$VENV/.stamp-$file" 2>/dev/null) == "$wanted" ]]; then
    return
  fi
  echo "Installing $file into ${VENV##*/} (a minute or a few)"
  : >"$unfinished"
  rm -f -- "$VENV"/.stamp-*
  # Nothing but what the file has the hashes of, where it has them.
  if grep -q -- --hash= "$ROOT/$file"; then hashes=(--require-hashes); fi
  # Modules are compiled when they are first imported: most of them never are.
  "$PYTHON_BIN" -m pip install -qq --no-compile --disable-pip-version-check ${hashes[@]+"${hashes[@]}"} --requirement "$ROOT/$file" ||
    die "installing $file failed (see pip's message above)"
  stamp requirements.txt "$PYTHON_BIN" >"$VENV/.stamp-requirements.txt"
  echo "$wanted" >"$VENV/.stamp-$file"
  rm -- "$unfinished"
  # shellcheck disable=SC2034
  INSTALLED=yes
  echo "Installed in $((SECONDS - start)) s"
}
