/* SPDX-License-Identifier: MIT
 *
 * What the handlers of the testee share: the call that each of them serves, its arguments, and
 * gates.
 */
#ifndef TESTEE_H
#define TESTEE_H

#include <copse.h>

enum { FIELDS_MAX = 6 };

/* What an argument must be. */
enum type { ANY = 1, INT, SIZE, STR, BIN, REF, MAP, ARGS, WINDOW, ARGV, CALL, CALLS, THEN, HOW };

struct field {
  const char *name;
  enum type type;
  bool required;
};

typedef struct call call;

struct handler {
  const char *name;
  void (*run)(call *c);
  struct field fields[FIELDS_MAX];
  copse_context_cbs cbs; /* `done` is the same for all */
};

/* One run of a handler. What follows `given` is each handler's own, zero at first. */
struct call {
  copse_context *ctx;
  copse *rt;
  copse_scope *scope;          /* of the context */
  copse_peer *peer;            /* at the other end of the suite link */
  copse_buf args;              /* a copy: the views below live as long as the call */
  copse_bytes arg[FIELDS_MAX]; /* by the handler's fields; no data: not given */
  bool given;                  /* STARTED was asked for by the key `started` */

  copse_job job;
  struct gate *gate; /* waited at */
  call *next_waiter;
  void (*opened)(call *c); /* when it is open */
  void (*take)(call *c);   /* consumes what may be consumed */
  copse_buf queue;         /* items not yet consumed; the result of the call below */
  int64_t count;
  uint64_t sum, bytes;
  bool ended, over;
  copse_member *member;
  copse_context *below;
  copse_child *child;
  call *next_child;
  struct place *places; /* of the results, in order */
  size_t place_count, places_left;
};

/* args.c */
/* Finds the arguments by name or position. False with a text that says what is wrong. */
bool args_read(call *c, const struct field *fields, char *why, size_t size);
int64_t arg_int(const call *c, int field, int64_t otherwise);
copse_credit arg_window(const call *c, int field);
/* A str as a C string, to be freed; `otherwise` where none was given. NULL: memory is short. */
char *arg_text(const call *c, int field, const char *otherwise);
bool arg_is(const call *c, int field, const char *text);

/* gate.c */
/* Calls `opened` when the gate is open, perhaps at once; gates latch. False: memory is short. */
bool gate_wait(call *c, copse_bytes key, void (*opened)(call *c));
void gate_leave(call *c);
/* 1: it was closed, 0: it was open, -1: out of memory. */
int gate_open(copse_bytes key);
void gates_free(void);

/* stream.c */
void fail(call *c), source(call *c), sink(call *c), duplex(call *c);
void fail_on(copse_context *ctx, void *arg), source_on(copse_context *ctx, void *arg);
bool stream_item(copse_context *ctx, copse_bytes value, void *arg);
void stream_end(copse_context *ctx, void *arg), stream_on(copse_context *ctx, void *arg);

/* tree.c */
void cleanup(call *c), relay(call *c), nursery(call *c), spawn(call *c), enter(call *c);
void dial(call *c), drain(call *c);
void cleanup_cancelled(copse_context *ctx, void *arg);
void spawn_end(copse_context *ctx, void *arg), enter_end(copse_context *ctx, void *arg);
void log_pack(copse_buf *out), children_pack(copse_buf *out), log_free(void);
/* What the call has started is over. */
void tree_forget(call *c);

/* testee.c */
extern char *own_command[];
/* STARTED nil, unless it was given. */
void started(call *c);
void return_int(call *c, int64_t number);
void fail_memory(call *c);

#endif
