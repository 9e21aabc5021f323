# Sourced by the launchers: `launch MODULE ARGUMENTS` becomes `python -m MODULE ARGUMENTS`.
# Python is that of .venv (made by bin/quickstart or bin/test) if it is there, else python3 on the PATH.

launch() {
  local root python
  root=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
  python=$root/.venv/bin/python
  if [[ ! -x $python ]]; then
    python=python3
    python3 -c 'import sys, importlib.util as u; sys.exit(not u.find_spec("tensorflow"))' || {
      echo "bin/$(basename -- "$0"): no .venv here, and python3 has no TensorFlow: run bin/quickstart, or pip install -r requirements.txt" >&2
      exit 1
    }
  fi
  export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2}
  exec "$python" -m "$@"
}
