/* SPDX-License-Identifier: MIT
 *
 * template.h: actors that are cloned from a process that has begun already.
 */
#ifndef COPSE_RUNTIME_TEMPLATE_H
#define COPSE_RUNTIME_TEMPLATE_H

#include "runtime/adopt.h"
#include "runtime/heritage.h"
#include "runtime/proc.h"

#define COPSE__TEMPLATE_FD 3 /* where a template finds the socket to its parent */
#define COPSE__TEMPLATE_REQUEST_MAX (128u * 1024u)

/* The descriptors that come with a request, in this order; the last may be missing. */
enum {
  COPSE__TEMPLATE_CWD,
  COPSE__TEMPLATE_LINK,
  COPSE__TEMPLATE_STDERR,
  COPSE__TEMPLATE_STDOUT,
  COPSE__TEMPLATE_FDS
};

/* What a template says when it is ready: that both are of one version. */
typedef struct copse__template_hello {
  char version[32];
  uint32_t request_size;
} copse__template_hello;

/* A request; its strings follow, each with its NUL: the words of argv, then the environment. */
typedef struct copse__template_request {
  uint32_t argc, envc;
  pid_t parent;
  uint32_t pid_at, pid_width; /* where in the strings the process group belongs; 0 wide: nowhere */
  char mark[33];              /* of the new actor, for COPSE__MARK */
} copse__template_request;

/* The answer to a request: the first act of the new process or, where there is none, an errno. */
typedef struct copse__template_report {
  pid_t pid;
  int error;
} copse__template_report;

/* The template of a process, as that process sees it. Zeroed: there is none. */
typedef struct copse__template {
  copse__proc proc;
  int control;
  unsigned asked;    /* for so many actors it could have served */
  unsigned failures; /* of templates so far */
  copse__heritage heritage;
} copse__template;

/* Clones an actor from the template `template_argv`, starting or replacing that if need be. Blocks
 * like copse__spawn, and for at most a few seconds, once, if the template has been stopped or
 * hangs. COPSE_OK: *child is set, and must be reaped. COPSE_EAGAIN: there is no process, and the
 * command is to be executed instead, which will also tell what is wrong with it. */
copse_status copse__template_spawn(copse *rt, copse__template *template,
                                   const char *const *template_argv, const copse__spawn_args *args,
                                   const char *mark, copse__spawned *child);
/* Kills it / and reaps it. Harmless where there is none. */
void copse__template_kill(copse__template *template);
void copse__template_end(copse__template *template);

#endif
