/* SPDX-License-Identifier: MIT
 *
 * measure.h: what the benchmark programs share.
 *
 * Each program measures one thing once and prints one number: report.lua runs them in turn, so that
 * the limit and Copse meet the same machine in the same minute, and takes the medians.
 */
#ifndef COPSE_BENCH_MEASURE_H
#define COPSE_BENCH_MEASURE_H

#include <copse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nanoseconds of the monotonic clock. */
uint64_t bench_now(void);

/* Ties this process to one of the processors named in BENCH_CPUS ("0 1" unless set): the first (0)
 * or the second (1). Where the environment names only one, both are that one. */
void bench_pin(int which);

/* Prints a text and, where errno says something, its meaning; exits with 1. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Dies unless the outcome is a RETURN. */
void bench_returned(const copse_outcome *outcome, const char *what);

/* An actor that runs `main` to its end; a child when it was spawned. Returns the exit status. */
int bench_actor(copse_main_cb main, void *arg);

/* Spawns this very program as an actor, with one argument, in the actor's root scope. `ready` is
 * called when it is; it is finished with the scope. */
copse_child *bench_spawn_self(copse *rt, const char *mode, void (*ready)(copse_child *, void *),
                              void *arg);

/* The body of the actor is over: the rest ends by itself. */
void bench_done(copse *rt);

/* All or nothing, blocking. read_all returns false at the end of the stream. */
void bench_write_all(int fd, const void *data, size_t size);
bool bench_read_all(int fd, void *data, size_t size);

#endif
