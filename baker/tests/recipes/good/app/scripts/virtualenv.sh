#!/bin/bash
set -euo pipefail
python3 -m venv "$1"
