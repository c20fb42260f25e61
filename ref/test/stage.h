/* SPDX-License-Identifier: MIT
 *
 * stage.h: what the tests of processes have in common: a root in the test's own process, actors
 * that say when they are up, and a look at what is left afterwards.
 */
#ifndef COPSE_TEST_STAGE_H
#define COPSE_TEST_STAGE_H

#include "runtime/process.h"

#define STAGE_UP_MAX 64

typedef struct stage_up {
  char name[COPSE_NAME_MAX + 1];
  pid_t pid;
  char what[16];
} stage_up;

typedef struct stage stage;
struct stage {
  copse *rt;
  copse_scope *scope;
  int fds_before;
  char fifo[96];
  copse__poll poll;
  stage_up up[STAGE_UP_MAX]; /* what came up, in its order */
  size_t up_count;
  /* What the test does, all optional. */
  void (*on_begin)(stage *s);
  void (*on_ready)(stage *s, copse_child *child);
  void (*on_up)(stage *s, const stage_up *up);
  copse_member *body; /* keeps the root's scope until on_ready was called */
  bool stay;          /* until the child is gone */
  /* What became of the first child. */
  copse_child *child; /* while it lives */
  bool done;
  copse_outcome_kind kind;
  copse_error *error; /* a reference */
  uint8_t value[256];
  size_t value_size;
  uint32_t grace_ms; /* 0: more than any test needs */
  bool swallow;      /* its error does not go to the scope */
  /* How the root ended. */
  int status;
  copse_error *root_error; /* a reference */
  bool root_cancelled;
  void *own; /* the test's */
};

/* The helper's path (the actor-tool beside the test programs). */
const char *stage_tool(void);
/* Descriptors open in this process. */
int stage_fds(void);
/* For cmocka's groups: a runtime directory of the tests' own, in which nothing may be left. */
int stage_group_begin(void **state);
int stage_group_end(void **state);
/* Running trees in that directory; what killed ones left is swept. */
size_t stage_trees(void);
/* Begins: remembers the open descriptors, makes a root. Fails the test where it cannot. */
void stage_init(stage *s);
/* Spawns the actor-tool in a mode, as `name`; options may change everything but name and argv. */
copse_child *stage_spawn(stage *s, const char *name, const char *mode,
                         const copse_spawn_options *options);
/* Opens the tool's `grow` on a child that is ready: `levels` of `width` children each below it, the
 * lowest of which then do what `mode` says. It lasts until its END. */
copse_context *stage_grow(stage *s, copse_child *child, int levels, int width, const char *mode);
/* Runs the root until it ends. */
void stage_run(stage *s);
/* Frees the root and fails the test if anything is left: a process, a zombie, a descriptor. */
void stage_deinit(stage *s);
/* Waits until this process has no child left, as a subreaper; fails the test after a minute. */
void stage_wait_for_nobody(void);
/* The error `code` from the actor `name`, in an error or in the members of a group; NULL if it
 * is not there. */
const copse_error_info *stage_find_error(const copse_error *error, copse_code code,
                                         const char *name);
/* An entry of an error's data. */
bool stage_data_int(const copse_error_info *error, const char *key, int64_t *value);
bool stage_data_has(const copse_error_info *error, const char *key, const char *part);

#endif
