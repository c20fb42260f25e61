/* SPDX-License-Identifier: MIT
 *
 * rundir.h: the directory of a running tree, where its sockets are.
 */
#ifndef COPSE_RUNTIME_RUNDIR_H
#define COPSE_RUNTIME_RUNDIR_H

#include <copse/wire.h>

#define COPSE__RUNDIR_MAX                                                                          \
  80 /* bytes of a tree's directory: with a socket's name it fits an address */
#define COPSE__ROOT_SOCKET "root"

typedef struct copse__rundir {
  int fd;                           /* open and locked while the tree lives; -1: none */
  char path[COPSE__RUNDIR_MAX + 1]; /* absolute */
} copse__rundir;

/* Makes the directory of a new tree under this user's runtime directory, locks it, and writes
 * the root's name into it. First removes what dead trees left there. On COPSE_ESYSTEM *why gets
 * a constant or static text and errno tells more. */
copse_status copse__rundir_create(copse__rundir *dir, const char *name, const char **why);
/* Removes it with all that is in it, and unlocks it. Accepts one that was never made (fd -1). */
void copse__rundir_remove(copse__rundir *dir);

/* The tree's directory that a unix address is in; false, and "" in `path`, if it is in none. */
bool copse__rundir_of(const char *address, char path[COPSE__RUNDIR_MAX + 1]);
/* Removes a tree's directory if its root is dead, whoever asks: for actors that outlive it. True
 * if it is gone. */
bool copse__rundir_sweep(const char *path);

#endif
