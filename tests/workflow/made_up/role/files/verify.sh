#!/bin/sh
set -eu
madeupd --version
