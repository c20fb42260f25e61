# SPDX-License-Identifier: MIT
# The `copse` command: main.c and a file per subcommand.

CLI_SRCS := $(wildcard ref/cli/*.c)
