/* SPDX-License-Identifier: MIT
 *
 * process.h: what the files of the process half (child, actor, registry, info) share.
 */
#ifndef COPSE_RUNTIME_PROCESS_H
#define COPSE_RUNTIME_PROCESS_H

#include "runtime/adopt.h"
#include "runtime/internal.h"
#include "runtime/ladder.h"
#include "runtime/proc.h"
#include "runtime/rundir.h"
#include "runtime/tail.h"
#include "runtime/template.h"
#include "runtime/watchdog.h"

#define COPSE__ENV_LINK "COPSE_LINK"
#define COPSE__ENV_ACTOR "COPSE_ACTOR"
#define COPSE__ENV_TOKEN "COPSE_TOKEN"

#define COPSE__TOKEN_SIZE 16
#define COPSE__REGISTRARS_MAX 4

typedef struct copse__registry copse__registry;

/* Where an actor is in its life. The table of moves is in actor.c. */
typedef enum copse__life {
  COPSE__LIFE_BOOTING,   /* a child that has not been given copse.actor */
  COPSE__LIFE_WORKING,   /* main runs or has run */
  COPSE__LIFE_FINISHING, /* END came (or a root's own work is over): what runs may end */
  COPSE__LIFE_CANCELLED, /* everything is told to stop */
  COPSE__LIFE_LEAVING,   /* the root scope has ended: links are being closed */
  COPSE__LIFE_GONE
} copse__life;

/* The process half of a runtime. */
struct copse__process {
  copse *rt;
  bool is_child;
  copse__life life;
  uint32_t grace_ms; /* what everything below has to be gone within; a root's default */

  /* actor.c */
  copse__link *link;    /* to the parent; holds a reference */
  copse_context *actor; /* the parent's context copse.actor, while it is open */
  copse__watchdog *watchdog;
  copse_main_cb main;
  void *main_arg;
  copse_job main_job, closed_job;
  copse_buf config; /* of copse.actor */
  copse_buf value;  /* what main_done gave */
  bool main_started, main_done, link_lost, said, dialled;
  copse_member root_member;  /* in the root scope: hears of its cancellation, whoever began it */
  copse_member actor_member; /* in the scope of `actor`: hears of CANCEL */
  uv_async_t *stop;          /* wakes the loop after a signal */
  copse_job stop_job;
  uint64_t stop_asked; /* when a signal last asked for the end; 0: never */
  bool debug;

  /* adopt.c, rundir.c */
  copse__adopt adopt;
  copse__rundir rundir;                  /* a root's */
  char tree_path[COPSE__RUNDIR_MAX + 1]; /* the tree's directory, in every actor; "": none */

  /* child.c, template.c */
  copse__list children;
  copse__template template;

  /* registry.c */
  char registrars[COPSE__REGISTRARS_MAX][COPSE_ADDRESS_MAX + 1];
  size_t registrar_count;
  copse__registry *registry;
  copse__list requests; /* of this actor to its registrar; see lookup.c */
};

/* A child, as its parent sees it. The table of moves is in child.c. */
typedef enum copse__child_state {
  COPSE__CHILD_BOOTING, /* runs, has not said STARTED */
  COPSE__CHILD_READY,
  COPSE__CHILD_ENDED,  /* its terminal came, or its link is lost: it is to exit */
  COPSE__CHILD_DEAD,   /* it has exited: what it wrote is being read */
  COPSE__CHILD_REAPED, /* what it left behind is being looked for */
  COPSE__CHILD_ALONE,  /* nothing below it lives: its last words are being read */
  COPSE__CHILD_GONE
} copse__child_state;

struct copse_child {
  copse *rt;
  copse__list all; /* in process->children */
  copse_member member;
  copse__child_state state;
  copse_peer *peer;
  copse__link *link;    /* holds a reference; NULL while a dialling child has not come */
  int link_fd;          /* known to the watchdog; -1: none */
  copse_context *actor; /* our context copse.actor on it, while it is open */
  copse__proc proc;
  copse__ladder ladder;
  copse__tail tail;
  copse__timer boot; /* the boot deadline, later the reading of what a dead child wrote */
  copse_rungs rungs; /* all of them set */
  copse_spawn_cbs cbs;
  void *arg;
  copse_buf args; /* of copse.actor, until it is opened */
  uint8_t token[COPSE__TOKEN_SIZE];
  bool dials; /* it dials us, with the token */
  bool finish_asked, cancel_asked, boot_failed, spawn_failed, died, ran;
  copse_context *info; /* our copse.info on it that it has not answered; see info.c */
  struct copse__info *info_for;
  uint64_t cancel_grace_ms;
  uint64_t drain_until;
  char *command; /* argv[0], for messages */
  bool terminal; /* it has come: */
  copse_outcome_kind kind;
  copse_buf value;
  copse_error *error; /* of an ERROR; later the outcome's */
  copse_cause cause;
  copse_error *lost; /* why the link ended */
  copse_job job;
  copse__grave grave;
};

/* 32 hexadecimal digits and a NUL. */
void copse__hex(const uint8_t id[16], char hex[33]);
/* Their reverse: reads exactly 2 * size digits, which end with the text, a blank or an '@'. */
bool copse__unhex(const char *hex, uint8_t *bytes, size_t size);
/* "SIGKILL"; "signal 40" where it has no name (in `text`). */
const char *copse__signal_name(int signal, char text[16]);

/* boot.c. What the environment says to a process that was spawned as an actor. */
typedef struct copse__boot {
  bool is_child; /* it says anything at all */
  bool dialled;
  uint8_t id[16];
  char name[COPSE_NAME_MAX + 1];
  pid_t group; /* one that is known to be ours; 0: none */
  char link[COPSE_ADDRESS_MAX + 1];
  uint8_t token[64];
  size_t token_size;
  int rfd, wfd; /* after copse__boot_link */
} copse__boot;

/* Reads COPSE_LINK, COPSE_ACTOR and COPSE_TOKEN. COPSE_EADDRESS where they are malformed; *why
 * is on the heap. */
copse_status copse__boot_read(copse__boot *boot, char **why);
/* Removes them from the environment. */
void copse__boot_hide(void);
/* Takes over the link's descriptors, or dials: afterwards they are out of the way of user code
 * and of everything it executes, and the death of our parent's thread wakes us instead of
 * killing us. COPSE_EADDRESS, COPSE_ESYSTEM. */
copse_status copse__boot_link(copse__boot *boot, char **why);
void copse__boot_close(copse__boot *boot);

/* actor.c. Cancels the whole actor. */
void copse__actor_stop(copse__process *process, copse_origin origin, const char *message,
                       int64_t grace_ms);
/* signals.c. SIGTERM and, in a root, SIGINT cancel the actor. COPSE_ENOMEM, COPSE_ESYSTEM. */
copse_status copse__signals_init(copse__process *process);
void copse__signals_deinit(copse__process *process);

/* launch.c. The id of the running system and of our pid namespace: the number of a process group
 * means something only to who shares both. False where the system does not tell. */
bool copse__here(char boot_id[40], unsigned long *pid_namespace);
/* launch.c. Starts the process of a child as its options say: makes its link (child->link,
 * unless it dials), the pipe of its stderr, its environment. If child->proc.pid is set
 * afterwards, there is a process, to be reaped, whatever is returned. COPSE_ESYSTEM:
 * child->error says why it failed. COPSE_ENOMEM. */
copse_status copse__child_launch(copse_child *child, const copse_spawn_options *options,
                                 const copse__link_hooks *hooks,
                                 void (*on_exit)(copse__proc *proc));
/* obituary.c. How a child that is dead, reaped and alone has ended: sets child->error where that
 * is an error. */
copse_outcome_kind copse__child_verdict(copse_child *child);

/* child.c. Kills and reaps what was not ended in order, without a word to anybody. */
void copse__children_drop(copse *rt);
/* child.c. Lets the watchdog shut a child's link down. */
void copse__child_guard(copse_child *child, int fd);
/* child.c. A dialling child's HELLO on an accepted link: claims the link if its token is a
 * child's. */
bool copse__child_claim(copse__link *link, const copse_event *event);
/* Whether a process is one of ours. */
bool copse__child_is_spawned(copse__adopt *adopt, pid_t pid);
/* No orphan is left: children that waited for it go on. */
void copse__child_clear(copse__adopt *adopt);
/* What a peer state the process tells where its link is silent. */
copse_peer_state copse__child_condition(const copse_child *child);

/* registry.c */
copse_status copse__registry_init(copse *rt, const copse_config *config);
void copse__registry_announce(copse *rt);
void copse__registry_deinit(copse *rt);
/* lookup.c. Ends the registrations of this actor. */
void copse__registry_leave(copse *rt);
/* Frees what was asked and never answered, without a word to anybody. */
void copse__requests_drop(copse *rt);
/* info.c */
copse_status copse__info_init(copse *rt);

#endif
