/* SPDX-License-Identifier: MIT
 *
 * Runtime directories: the living keep theirs, the dead lose theirs, and nobody else's are touched.
 */
#include "runtime/rundir.h"

#include <copse.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];

static int setup(void **state) {
  (void)state;
  strcpy(base, "/tmp/copse-test-XXXXXX");
  alarm(60);
  return mkdtemp(base) && setenv("XDG_RUNTIME_DIR", base, 1) == 0 ? 0 : -1;
}

static int teardown(void **state) {
  char path[80];
  (void)state;
  snprintf(path, sizeof path, "%s/copse", base);
  rmdir(path);
  return rmdir(base); /* fails if anything was left */
}

typedef struct seen {
  size_t count;
  char address[128], name[65];
} seen;

static void see(const char *address, const char *name, void *arg) {
  seen *s = arg;
  if (!strstr(address, base)) return; /* another place of this user */
  s->count++;
  snprintf(s->address, sizeof s->address, "%s", address);
  snprintf(s->name, sizeof s->name, "%s", name);
}

static seen look(void) {
  seen s = {0};
  copse_trees(see, &s);
  return s;
}

static void create(copse__rundir *dir) {
  const char *why;
  assert_int_equal(copse__rundir_create(dir, "oak", &why), COPSE_OK);
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

static void a_living_tree_is_found_by_name_and_address(void **state) {
  (void)state;
  copse__rundir dir;
  struct stat st;
  char address[128];
  create(&dir);
  assert_int_equal(stat(dir.path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  assert_int_equal(fcntl(dir.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  seen s = look();
  assert_int_equal(s.count, 1);
  assert_string_equal(s.name, "oak");
  snprintf(address, sizeof address, "unix:%s/root", dir.path);
  assert_string_equal(s.address, address);
  copse__rundir_remove(&dir);
  assert_int_equal(look().count, 0);
}

static void a_directory_goes_with_all_that_is_in_it(void **state) {
  (void)state;
  copse__rundir dir;
  create(&dir);
  close(openat(dir.fd, "some-socket", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  char path[128];
  strcpy(path, dir.path);
  copse__rundir_remove(&dir);
  assert_false(exists(path));
  copse__rundir_remove(&dir); /* once more does nothing */
}

static void the_directory_of_a_living_root_is_not_swept(void **state) {
  (void)state;
  copse__rundir dir;
  create(&dir);
  assert_false(copse__rundir_sweep(dir.path));
  assert_true(exists(dir.path));
  copse__rundir_remove(&dir);
}

/* Makes a directory in a process that is killed. */
static void orphan(char path[COPSE__RUNDIR_MAX + 1]) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  if (pid == 0) {
    copse__rundir dir = {0};
    const char *why;
    if (copse__rundir_create(&dir, "elm", &why) != COPSE_OK) _exit(1);
    if (write(ends[1], dir.path, sizeof dir.path) < 0) _exit(1);
    for (;;) pause();
  }
  assert_int_equal(read(ends[0], path, COPSE__RUNDIR_MAX + 1), COPSE__RUNDIR_MAX + 1);
  close(ends[0]);
  close(ends[1]);
  kill(pid, SIGKILL);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_a_killed_root_left_is_swept_by_whoever_comes_next(void **state) {
  (void)state;
  char path[COPSE__RUNDIR_MAX + 1];
  copse__rundir dir;
  orphan(path);
  assert_true(exists(path));
  create(&dir); /* another root starts */
  assert_false(exists(path));
  orphan(path);
  assert_true(exists(path));
  assert_int_equal(look().count, 1); /* somebody lists the trees */
  assert_false(exists(path));
  orphan(path);
  assert_true(copse__rundir_sweep(path)); /* an actor that outlived it */
  assert_false(exists(path));
  assert_true(copse__rundir_sweep(path));
  copse__rundir_remove(&dir);
}

static void a_trees_directory_is_known_by_the_address_of_a_socket_in_it(void **state) {
  (void)state;
  char path[COPSE__RUNDIR_MAX + 1];
  assert_true(copse__rundir_of("unix:/run/user/7/copse/0123456789abcdef/root", path));
  assert_string_equal(path, "/run/user/7/copse/0123456789abcdef");
  assert_false(copse__rundir_of("unix:/etc/passwd", path));
  assert_string_equal(path, "");
  assert_false(copse__rundir_of("unix:/copse/0123456789abcdef/x/root", path));
  assert_false(copse__rundir_of("unix:/0123456789abcdef", path));
  assert_false(copse__rundir_of("tcp:127.0.0.1:80", path));
}

static void nothing_is_swept_that_is_not_where_trees_are(void **state) {
  (void)state;
  char path[128], file[160];
  snprintf(path, sizeof path, "%s/0123456789abcdef", base);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(file, sizeof file, "%s/precious", path);
  close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  assert_false(copse__rundir_sweep(path));
  assert_true(exists(file));
  unlink(file);
  rmdir(path);
}

static void files_that_are_no_trees_are_left_alone(void **state) {
  (void)state;
  copse__rundir dir;
  char path[128];
  create(&dir);
  copse__rundir_remove(&dir);
  snprintf(path, sizeof path, "%s/copse/mine", base);
  assert_int_equal(mkdir(path, 0700), 0);
  create(&dir);
  assert_true(exists(path));
  assert_int_equal(look().count, 1);
  copse__rundir_remove(&dir);
  rmdir(path);
}

static void a_place_that_others_can_write_to_is_not_used(void **state) {
  (void)state;
  copse__rundir dir;
  const char *why;
  char path[80], real[80];
  snprintf(path, sizeof path, "%s/copse", base);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_int_equal(chmod(path, 0777), 0);
  if (copse__rundir_create(&dir, "oak", &why) == COPSE_OK) { /* elsewhere, then */
    assert_null(strstr(dir.path, base));
    copse__rundir_remove(&dir);
  }
  rmdir(path);
  snprintf(real, sizeof real, "%s/real", base);
  assert_int_equal(mkdir(real, 0700), 0);
  assert_int_equal(symlink(real, path), 0);
  if (copse__rundir_create(&dir, "oak", &why) == COPSE_OK) {
    assert_null(strstr(dir.path, base));
    copse__rundir_remove(&dir);
  }
  unlink(path);
  rmdir(real);
}

enum { ROUNDS = 200 };

static void roots_and_sweepers_never_get_into_each_others_way(void **state) {
  (void)state;
  pid_t pids[4];
  for (int k = 0; k < 4; k++) {
    pids[k] = fork();
    if (pids[k]) continue;
    for (int i = 0; i < ROUNDS; i++) {
      copse__rundir dir;
      const char *why;
      if (k >= 2) { /* a sweeper */
        copse_trees(NULL, NULL);
        continue;
      }
      if (copse__rundir_create(&dir, "ash", &why) != COPSE_OK) _exit(2);
      int fd = openat(dir.fd, "root", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      if (fd < 0 || !exists(dir.path)) _exit(3); /* taken from us */
      close(fd);
      if (i % 2) close(dir.fd); /* as if killed */
      else copse__rundir_remove(&dir);
    }
    _exit(0);
  }
  for (int k = 0; k < 4; k++) {
    int status;
    assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
    assert_int_equal(status, 0);
  }
  assert_int_equal(look().count, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_living_tree_is_found_by_name_and_address),
      TEST(a_directory_goes_with_all_that_is_in_it),
      TEST(the_directory_of_a_living_root_is_not_swept),
      TEST(what_a_killed_root_left_is_swept_by_whoever_comes_next),
      TEST(a_trees_directory_is_known_by_the_address_of_a_socket_in_it),
      TEST(nothing_is_swept_that_is_not_where_trees_are),
      TEST(files_that_are_no_trees_are_left_alone),
      TEST(a_place_that_others_can_write_to_is_not_used),
      TEST(roots_and_sweepers_never_get_into_each_others_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
