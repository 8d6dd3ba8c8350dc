#!/bin/sh
# Makes sure that Go and a C++ compiler are there. Debian has the compiler as a
# package; where we may, we install it.
set -eu

missing=""
command -v g++ >/dev/null 2>&1 || missing="g++"
command -v git >/dev/null 2>&1 || missing="$missing git"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing $missing" >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
    else
        echo "missing: $missing. On Debian: sudo apt-get install $missing" >&2
        exit 1
    fi
fi
command -v go >/dev/null 2>&1 || { echo "missing: Go 1.26 or later" >&2; exit 1; }
