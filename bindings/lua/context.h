/* SPDX-License-Identifier: MIT
 *
 * context.h: one end of a context as Lua sees it; shared by the end that opens (open.c), the end
 * that serves (serve.c) and what both can do (context.c).
 */
#ifndef COPSE_LUA_CONTEXT_H
#define COPSE_LUA_CONTEXT_H

#include "host.h"

struct context {
  frame frame;           /* opener: its scope, with this context alone in it */
  copse_context *handle; /* NULL once it has ended */
  task *serving;         /* callee: the task of the handler */
  bool opener;
  bool popped;    /* opener: the frame is closed */
  bool started;   /* STARTED was received, or sent */
  bool out_ended; /* I said END */
  bool in_ended;  /* the peer said END, or I said STOP, or never read */
  bool finished;  /* there is an outcome */
  bool cancelled; /* it is a cancellation that was asked for here */
  bool asked;     /* ctx:cancel() was called */
  bool raised;    /* the error has been raised by an operation: closing does not raise it again */
  copse_error *error;
  copse_error *cancellation; /* what `cancelled` is as an error, for who asks for the result */
  copse_buf value;           /* what it RETURNed */
  copse_buf queue;           /* items nobody waited for: size_t length, bytes */
  size_t head;
  task *opening;     /* waits for STARTED */
  copse_bytes first; /* the value of STARTED, while that task is being resumed */
  task_list receivers, senders, finishers;
  task_list closers;    /* those that wait for its end and ask for no result: see open.c */
  copse_error *closing; /* what went wrong while closing */
};

#define context_of(f) ((context *)((char *)(f)-offsetof(context, frame)))

/* context.c */
context *copse__lua_context_new(lua_State *L, bool opener);
/* Takes all tasks that wait on the context out and resumes them; `c` may be gone afterwards.
 * True if there were any. */
bool copse__lua_context_collect(context *c, task_list *woken);
void copse__lua_resume_all(task_list *woken);
bool copse__lua_context_item(copse_context *ctx, copse_bytes value, void *arg);
void copse__lua_context_end(copse_context *ctx, void *arg);
void copse__lua_context_writable(copse_context *ctx, void *arg);

/* open.c */
int copse__lua_context_result(lua_State *L);
int copse__lua_context_cancel(lua_State *L);
int copse__lua_context_dunder_close(lua_State *L);

/* serve.c */
int copse__lua_context_started(lua_State *L);
void copse__lua_open_serve(lua_State *L, int lib);

#endif
