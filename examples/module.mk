# SPDX-License-Identifier: MIT
# Examples are installed with the documentation.

EXAMPLES := $(wildcard examples/*.lua examples/*/*.lua examples/*.c examples/c/*.c) examples/demo
