/* SPDX-License-Identifier: MIT
 *
 * cli.h: what the subcommands of `copse` share.
 *
 * A subcommand is one file with one function, which parses its own command line (argp), does its
 * work and returns an exit status. The statuses mean the same in all of them.
 */
#ifndef COPSE_CLI_H
#define COPSE_CLI_H

#include <argp.h>
#include <copse.h>
#include <jansson.h>
#include <stdio.h>

typedef enum cli_exit {
  CLI_OK = 0,
  CLI_FAILED = 1, /* it ran, and failed */
  CLI_USAGE = 2,  /* the command line is wrong; nothing was done */
  CLI_NOT_FOUND =
      3,           /* what was named is not there, cannot be reached or refused; nothing was run */
  CLI_TIMEOUT = 4, /* --timeout expired */
  CLI_CANCELLED = 5, /* cancelled, here or there */
} cli_exit;

/* --- options that every subcommand takes (main.c) --------------------------------------------- */

typedef struct cli_options {
  copse_log_level level;
  bool level_set;
  int colour; /* 1, 0, or -1: where the stream is a terminal and NO_COLOR is unset */
} cli_options;

/* To be a child of each subcommand's argp, with the cli_options as its input. */
extern const struct argp cli_common_argp;

int cmd_run(cli_options *common, int argc, char **argv);
int cmd_call(cli_options *common, int argc, char **argv);
int cmd_tree(cli_options *common, int argc, char **argv);
int cmd_decode(cli_options *common, int argc, char **argv);

/* --- the terminal (terminal.c) ---------------------------------------------------------------- */

bool cli_use_colour(const cli_options *common, FILE *stream);
/* Whether tree lines and dashes may be drawn with characters beyond ASCII. */
bool cli_use_unicode(void);
/* Columns and lines of the terminal on a stream; 0 where it is none. */
unsigned cli_columns(FILE *stream);
unsigned cli_lines(FILE *stream);
/* Columns that a text takes. */
size_t cli_text_width(const char *text);
/* Writes a text whose control characters are replaced, since names come from other processes. */
void cli_print_safe(FILE *stream, const char *text);

/* Writes out what stdout holds. False if that has failed, or a write before it; says so on stderr,
 * once, unless it is only that the reader has gone. */
bool cli_flush(const char *command);
/* "copse call: ..." on stderr, on one line, since much of it comes from other processes. */
void cli_complain(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The boxed report of an error on stderr. */
void cli_report(const cli_options *common, const copse_error *error);

/* --- being a client of running trees (client.c) ----------------------------------------------- */

/* Runs `main` in an actor that is nobody's child and that no other finds. False, after a complaint,
 * when there can be none. */
bool cli_client_run(const cli_options *common, const char *command, copse_main_cb main, void *arg);

/* A scope in the root scope, with a deadline in milliseconds (-1: none). NULL when memory is short.
 */
copse_scope *cli_client_scope(copse *rt, int64_t deadline_ms, copse_scope_done_cb done, void *arg);

typedef struct cli_tree {
  char *address, *name;
} cli_tree;

typedef struct cli_trees {
  cli_tree *all;
  size_t count;
  bool failed; /* memory was short */
} cli_trees;

/* The running trees of this user, ordered by name. */
void cli_trees_find(cli_trees *trees);
void cli_trees_deinit(cli_trees *trees);

/* --- values as JSON (json.c) ------------------------------------------------------------------ */

/* Appends one JSON value as msgpack. False if it cannot be expressed; `why` then says what and
 * where. */
bool cli_json_pack(const json_t *json, copse_buf *out, char *why, size_t why_size);
/* One encoded value as JSON: a new reference, NULL when memory is short or the bytes are no value.
 */
json_t *cli_json_of(copse_bytes value);
/* Writes it on one line, or indented for people. */
bool cli_json_write(const json_t *json, FILE *stream, bool indented);

/* Base64 of RFC 4648. `out` takes cli_base64_size(size) characters with the NUL; decoding gives the
 * number of bytes or -1. */
#define cli_base64_size(size) (((size) + 2) / 3 * 4 + 1)
void cli_base64_encode(const uint8_t *data, size_t size, char *out);
ptrdiff_t cli_base64_decode(const char *text, size_t size, uint8_t *out);

#endif
