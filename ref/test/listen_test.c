/* SPDX-License-Identifier: MIT
 *
 * Addresses, listening and dialling: who gets in, who does not, and what is left afterwards. */
#include "runtime_core_pair.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOKEN "0123456789abcdef"

/* --- addresses -------------------------------------------------------------------------------- */

static void addresses_are_read_strictly(void **state) {
  static const struct {
    const char *text;
    bool good, loopback;
    int rfd, wfd;
  } cases[] = {
      {"unix:/run/x", true, false, -1, -1},
      {"unix:", false, false, 0, 0},
      {"unix:relative/path", false, false, 0, 0},
      {"tcp:127.0.0.1:80", true, true, -1, -1},
      {"tcp:127.9.9.9:80", true, true, -1, -1},
      {"tcp:localhost:0", true, true, -1, -1},
      {"tcp:[::1]:65535", true, true, -1, -1},
      {"tcp:10.0.0.1:80", true, false, -1, -1},
      {"tcp:[2001:db8::1]:80", true, false, -1, -1},
      {"tcp:0.0.0.0:80", true, false, -1, -1},
      {"tcp:127.0.0.1:65536", false, false, 0, 0},
      {"tcp:127.0.0.1:", false, false, 0, 0},
      {"tcp:127.0.0.1", false, false, 0, 0},
      {"tcp:::1:80", false, false, 0, 0},
      {"tcp:[::1:80", false, false, 0, 0},
      {"tcp:example.org:80", false, false, 0, 0},
      {"tcp:127.0.0.1:8x", false, false, 0, 0},
      {"fd:3", true, false, 3, 3},
      {"fd:3,4", true, false, 3, 4},
      {"fd:", false, false, 0, 0},
      {"fd:-1", false, false, 0, 0},
      {"fd:3,", false, false, 0, 0},
      {"fd:3,4,5", false, false, 0, 0},
      {"fd:99999999999", false, false, 0, 0},
      {"stdio:", true, false, 0, 1},
      {"stdio:x", false, false, 0, 0},
      {"http://x", false, false, 0, 0},
      {"", false, false, 0, 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    copse__address a;
    const char *why = NULL;
    copse_status status = copse__address_parse(cases[i].text, &a, &why);
    assert_int_equal(status, cases[i].good ? COPSE_OK : COPSE_EADDRESS);
    if (!cases[i].good) {
      assert_non_null(why);
      continue;
    }
    assert_int_equal(a.loopback, cases[i].loopback);
    assert_int_equal(a.rfd, cases[i].rfd);
    assert_int_equal(a.wfd, cases[i].wfd);
    assert_string_equal(a.text, cases[i].text);
  }
}

static void a_path_that_is_too_long_for_a_socket_is_no_address(void **state) {
  char text[140] = "unix:/";
  copse__address a;
  (void)state;
  memset(text + 6, 'x', 106);
  assert_int_equal(copse__address_parse(text, &a, NULL), COPSE_OK); /* 107 bytes of path */
  text[112] = 'x';
  assert_int_equal(copse__address_parse(text, &a, NULL), COPSE_EADDRESS);
}

static void secrets_are_equal_only_when_all_of_them_is(void **state) {
  (void)state;
  assert_true(copse__equal_secret("abc", 3, "abc", 3));
  assert_false(copse__equal_secret("abd", 3, "abc", 3));
  assert_false(copse__equal_secret("ab", 2, "abc", 3));
  assert_false(copse__equal_secret("abcd", 4, "abc", 3));
  assert_false(copse__equal_secret("", 0, "abc", 3));
}

/* --- two actors and an address ---------------------------------------------------------------- */

typedef struct net {
  uv_loop_t loop;
  copse *server, *client;
  char dir[64], address[160];
  int fds;
  copse__listener *listener;
} net;

typedef struct result {
  bool done;
  copse_peer *peer;
  copse_code code;
  char message[300];
} result;

static void on_connect(copse *rt, copse_peer *peer, copse_error *error, void *arg) {
  result *r = arg;
  (void)rt;
  r->done = true;
  r->peer = peer;
  if (error) {
    r->code = copse_error_get(error)->known;
    snprintf(r->message, sizeof r->message, "%s", copse_error_get(error)->message);
  }
}

static void begin(net *n, const char *address, const char *token) {
  copse_config config = {.size = sizeof config,
                         .loop = &n->loop,
                         .log_level_set = true,
                         .log_level = COPSE_LOG_ERROR,
                         .ignore_env = true};
  char *why = NULL;
  memset(n, 0, sizeof *n);
  alarm(120);
  n->fds = pair_count_fds();
  strcpy(n->dir, "/tmp/copse-listen-XXXXXX");
  assert_non_null(mkdtemp(n->dir));
  snprintf(n->address, sizeof n->address, "unix:%s/socket", n->dir);
  assert_int_equal(uv_loop_init(&n->loop), 0);
  assert_int_equal(copse__core_new(&n->server, &config, NULL, "server"), COPSE_OK);
  assert_int_equal(copse__core_new(&n->client, &config, NULL, "client"), COPSE_OK);
  n->server->phase = n->client->phase = COPSE__READY;
  if (!address) address = n->address;
  copse_bytes secret = {(const uint8_t *)token, token ? strlen(token) : 0};
  copse_status status = copse__listen(n->server, address, secret, &n->listener, &why);
  if (status) print_message("# %s\n", why);
  assert_int_equal(status, COPSE_OK);
  snprintf(n->address, sizeof n->address, "%s", copse__listener_address(n->listener));
  assert_string_equal(n->server->self.addresses[0], n->address);
}

static struct sockaddr_un name_of(const char *path) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  assert_true(strlen(path) < sizeof un.sun_path);
  memcpy(un.sun_path, path, strlen(path));
  return un;
}

static void until(net *n, const bool *flag) {
  while (!*flag) pair_turn(&n->loop);
}

static void on_closed(copse *rt) { rt->data = rt; }

static void finish(net *n) {
  copse__core_close(n->client, on_closed);
  copse__core_close(n->server, on_closed);
  while (!n->client->data || !n->server->data) pair_turn(&n->loop);
  copse__core_free(n->client);
  copse__core_free(n->server);
  assert_int_equal(uv_loop_close(&n->loop), 0);
  assert_int_equal(rmdir(n->dir), 0); /* the socket file is gone */
  assert_int_equal(pair_count_fds(), n->fds);
  alarm(0);
}

static void connect_to(net *n, copse_scope *scope, const char *address, const copse_ref *ref,
                       const char *token, result *r) {
  copse_bytes secret = {(const uint8_t *)token, token ? strlen(token) : 0};
  memset(r, 0, sizeof *r);
  assert_int_equal(copse_connect(n->client, scope, address, ref, secret, on_connect, r), COPSE_OK);
  assert_false(r->done); /* never from within */
}

static void a_connection_is_a_service_of_its_scope_and_goes_with_it(void **state) {
  net n;
  ending e;
  result r;
  (void)state;
  begin(&n, NULL, NULL);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, n.address, NULL, NULL, &r);
  until(&n, &r.done);
  assert_non_null(r.peer);
  assert_string_equal(copse_peer_ref(r.peer)->name, "server");
  assert_true(copse_peer_alive(r.peer));
  while (copse__list_empty(&n.server->links)) pair_turn(&n.loop);
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  assert_null(e.error);
  while (!copse__list_empty(&n.server->links) || !copse__list_empty(&n.client->links))
    pair_turn(&n.loop);
  finish(&n);
}

static void two_scopes_share_one_link_and_the_last_one_ends_it(void **state) {
  net n;
  ending first_end, second_end;
  result first, second;
  (void)state;
  begin(&n, NULL, NULL);
  copse_scope *one = pair_scope(n.client, &first_end, -1),
              *two = pair_scope(n.client, &second_end, -1);
  connect_to(&n, one, n.address, NULL, NULL, &first);
  until(&n, &first.done);
  connect_to(&n, two, n.address, &n.server->self, NULL, &second);
  until(&n, &second.done);
  assert_ptr_equal(first.peer, second.peer);
  copse_scope_seal(one, NULL);
  until(&n, &first_end.ended);
  assert_true(copse_peer_alive(second.peer));
  copse_scope_cancel(two, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse_scope_seal(two, NULL);
  until(&n, &second_end.ended);
  finish(&n);
}

static void a_connection_that_is_cancelled_while_it_greets_says_cancelled(void **state) {
  net n;
  ending e;
  result r;
  (void)state;
  begin(&n, NULL, NULL);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, n.address, NULL, NULL, &r);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  assert_true(r.done);
  assert_null(r.peer);
  assert_int_equal(r.code, COPSE_CODE_CANCELLED);
  finish(&n);
}

static void a_cancelled_scope_waits_for_the_answer_to_bye_no_longer_than_its_grace(void **state) {
  net n;
  ending e;
  result r;
  (void)state;
  begin(&n, NULL, NULL);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, n.address, NULL, NULL, &r);
  until(&n, &r.done);
  copse__link *link = r.peer->link;
  while (copse__list_empty(&n.server->links)) pair_turn(&n.loop);
  copse__link *far = copse__of(n.server->links.next, copse__link, all);
  while (far->state != COPSE__LINK_OPEN) pair_turn(&n.loop);
  copse__poll_events(&far->rpoll, 0); /* it reads no more, and so has no answer */
  copse_scope_seal(scope, NULL);
  until(&n, &link->bye_said);
  assert_true(link->timer.due - copse_now(n.client) > n.client->rungs.grace_ms);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, -1);
  while (link->timer.due - copse_now(n.client) > n.client->rungs.grace_ms) pair_turn(&n.loop);
  copse__timer_start(n.client, &link->timer, copse_now(n.client), link->timer.cb);
  until(&n, &e.ended);
  copse__poll_events(&far->rpoll, UV_READABLE);
  finish(&n);
}

static void wait_for_ever(copse_context *ctx, copse_bytes args, void *arg) {
  bool *there = arg;
  (void)ctx;
  (void)args;
  *there = true;
}

static void
a_cancelled_scope_does_not_wait_for_what_its_peer_keeps_open_beyond_its_grace(void **state) {
  net n;
  ending e, far_end;
  result r;
  bool there = false;
  (void)state;
  begin(&n, NULL, NULL);
  copse_export(n.client, "wait", wait_for_ever, &there, COPSE_FROM_ANYONE, false);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, n.address, NULL, NULL, &r);
  until(&n, &r.done);
  copse__link *link = r.peer->link;
  while (copse__list_empty(&n.server->links)) pair_turn(&n.loop);
  copse__link *far = copse__of(n.server->links.next, copse__link, all);
  while (far->state != COPSE__LINK_OPEN) pair_turn(&n.loop);
  copse_scope *held = pair_scope(n.server, &far_end, -1);
  copse_open_options o = COPSE_OPEN_OPTIONS;
  o.target = "wait";
  assert_int_equal(copse_open(far->peer, held, &o, NULL), COPSE_OK);
  copse_scope_seal(held, NULL);
  until(&n, &there);
  copse_scope_seal(scope, NULL);
  until(&n, &link->peer_bye);
  assert_int_equal(link->patience, COPSE__NEVER);
  copse_scope_cancel(scope, COPSE_ORIGIN_REQUESTED, NULL, 5000);
  while (link->patience == COPSE__NEVER) pair_turn(&n.loop);
  assert_in_range(link->timer.due - copse_now(n.client), 0, 5000);
  assert_false(e.ended);
  link->patience = copse_now(n.client);
  copse__timer_start(n.client, &link->timer, link->patience, link->timer.cb);
  until(&n, &e.ended);
  assert_null(e.error);
  until(&n, &far_end.ended);
  assert_int_equal(copse_error_get(far_end.error)->known, COPSE_CODE_LINK_LOST);
  pair_ending_clear(&far_end);
  finish(&n);
}

static void
a_scope_that_fails_with_its_link_does_not_wait_for_the_end_of_that_link_again(void **state) {
  static const uint8_t nonsense[12] = {0, 0, 0, 0x3f};
  for (int breaks_rules = 0; breaks_rules < 2; breaks_rules++) {
    net n;
    ending e;
    result r;
    bool there = false;
    (void)state;
    begin(&n, NULL, NULL);
    copse_export(n.server, "wait", wait_for_ever, &there, COPSE_FROM_ANYONE, false);
    copse_scope *scope = pair_scope(n.client, &e, -1);
    connect_to(&n, scope, n.address, NULL, NULL, &r);
    until(&n, &r.done);
    copse_open_options o = COPSE_OPEN_OPTIONS;
    o.target = "wait";
    assert_int_equal(copse_open(r.peer, scope, &o, NULL), COPSE_OK);
    copse_scope_seal(scope, NULL);
    until(&n, &there);
    copse__link *far = copse__of(n.server->links.next, copse__link, all);
    if (breaks_rules)
      assert_int_equal(write(far->wfd, nonsense, sizeof nonsense), (ssize_t)sizeof nonsense);
    else copse__link_bye(far, COPSE_CODE_INTERNAL, "a fault");
    until(&n, &e.ended);
    assert_int_equal(copse_error_get(e.error)->known, COPSE_CODE_LINK_LOST);
    pair_ending_clear(&e);
    finish(&n);
  }
}

static void an_address_where_nobody_listens_is_unreachable(void **state) {
  net n;
  ending e;
  result r;
  (void)state;
  begin(&n, NULL, NULL);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, "unix:/tmp/copse-no-such-socket", NULL, NULL, &r);
  until(&n, &r.done);
  assert_int_equal(r.code, COPSE_CODE_UNREACHABLE);
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  assert_null(e.error); /* the callback was told: it is for it to raise */
  finish(&n);
}

static void another_actor_at_the_address_is_wrong_actor(void **state) {
  net n;
  ending e;
  result r;
  copse_ref other = {.id = {9}, .name = "other"};
  (void)state;
  begin(&n, NULL, NULL);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, n.address, &other, NULL, &r);
  until(&n, &r.done);
  assert_int_equal(r.code, COPSE_CODE_WRONG_ACTOR);
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  finish(&n);
}

static void the_addresses_of_a_reference_are_tried_in_their_order(void **state) {
  net n;
  ending e;
  result r;
  (void)state;
  begin(&n, NULL, NULL);
  copse_ref ref = n.server->self;
  ref.address_count = 4;
  snprintf(ref.addresses[0], sizeof ref.addresses[0], "unix:%s/nobody", n.dir);
  strcpy(ref.addresses[1], "tcp:192.0.2.1:99"); /* must not be dialled at all */
  strcpy(ref.addresses[2], "carrier-pigeon:left");
  strcpy(ref.addresses[3], n.server->self.addresses[0]);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, NULL, &ref, NULL, &r);
  until(&n, &r.done);
  assert_non_null(r.peer);
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  finish(&n);
}

static void an_address_that_somebody_else_has_by_now_does_not_keep_from_the_next(void **state) {
  net n;
  ending e;
  result r;
  (void)state;
  begin(&n, NULL, NULL);
  copse_ref ref = {.id = {9}, .name = "gone", .address_count = 2};
  strcpy(ref.addresses[0], n.server->self.addresses[0]); /* the server's by now */
  snprintf(ref.addresses[1], sizeof ref.addresses[1], "unix:%s/nobody", n.dir);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, NULL, &ref, NULL, &r);
  until(&n, &r.done);
  assert_null(r.peer);
  assert_int_equal(r.code, COPSE_CODE_UNREACHABLE); /* what the last one said */
  assert_non_null(strstr(r.message, "another actor"));
  assert_non_null(strstr(r.message, "/nobody: "));
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  finish(&n);
}

static void a_tcp_listener_lets_in_only_who_has_the_token(void **state) {
  static const char *const tokens[] = {NULL, "0123456789abcdeX", "0123456789abcde", TOKEN "0"};
  net n;
  ending e;
  result r;
  (void)state;
  begin(&n, "tcp:127.0.0.1:0", TOKEN);
  assert_null(strstr(n.address, ":0:")); /* the port that was assigned */
  copse_scope *scope = pair_scope(n.client, &e, -1);
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
    connect_to(&n, scope, n.address, NULL, tokens[i], &r);
    until(&n, &r.done);
    assert_null(r.peer);
    assert_int_equal(r.code, COPSE_CODE_DENIED);
    assert_non_null(strstr(r.message, "token"));
  }
  connect_to(&n, scope, n.address, NULL, TOKEN, &r);
  until(&n, &r.done);
  assert_non_null(r.peer);
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  finish(&n);
}

static void the_token_may_come_from_a_file(void **state) {
  net n;
  ending e;
  result r;
  char path[100];
  (void)state;
  begin(&n, "tcp:[::1]:0", TOKEN);
  snprintf(path, sizeof path, "%s/token", n.dir);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(TOKEN "\n", file);
  fclose(file);
  n.client->token_file = strdup(path);
  copse_scope *scope = pair_scope(n.client, &e, -1);
  connect_to(&n, scope, n.address, NULL, NULL, &r);
  until(&n, &r.done);
  assert_non_null(r.peer);
  copse_scope_seal(scope, NULL);
  until(&n, &e.ended);
  unlink(path);
  finish(&n);
}

static void what_must_not_be_listened_on_is_refused_with_a_reason(void **state) {
  static const struct {
    const char *address, *token;
    copse_status status;
    const char *why;
  } cases[] = {
      {"tcp:0.0.0.0:0", TOKEN, COPSE_EDENIED, "TLS"},
      {"tcp:[2001:db8::1]:80", TOKEN, COPSE_EDENIED, "TLS"},
      {"tcp:127.0.0.1:0", NULL, COPSE_EINVAL, "token"},
      {"tcp:127.0.0.1:0", "short", COPSE_EINVAL, "16 bytes"},
      {"fd:3", NULL, COPSE_EADDRESS, "unix: and tcp:"},
      {"nonsense", NULL, COPSE_EADDRESS, "should begin"},
      {"unix:/no/such/directory/socket", NULL, COPSE_ESYSTEM, "No such file"},
  };
  copse *rt = pair_alone();
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *why = NULL;
    copse_bytes token = {(const uint8_t *)cases[i].token,
                         cases[i].token ? strlen(cases[i].token) : 0};
    assert_int_equal(copse_listen(rt, cases[i].address, token, &why), cases[i].status);
    assert_non_null(strstr(why, cases[i].why));
    assert_non_null(strstr(why, cases[i].address));
    free(why);
  }
  assert_int_equal(rt->self.address_count, 0);
  copse__core_free(rt);
}

static void what_must_not_be_dialled_is_refused_at_once(void **state) {
  copse *rt = pair_alone();
  copse_ref nowhere = {.id = {1}, .name = "x"};
  copse_bytes none = {NULL, 0};
  result r;
  (void)state;
  assert_int_equal(copse_connect(rt, rt->root, "tcp:10.0.0.1:80", NULL, none, on_connect, &r),
                   COPSE_EDENIED);
  assert_int_equal(copse_connect(rt, rt->root, "fd:1", NULL, none, on_connect, &r), COPSE_EADDRESS);
  assert_int_equal(copse_connect(rt, rt->root, "x", NULL, none, on_connect, &r), COPSE_EADDRESS);
  assert_int_equal(copse_connect(rt, rt->root, NULL, &nowhere, none, on_connect, &r),
                   COPSE_EADDRESS);
  copse__core_free(rt);
}

static void a_socket_file_is_for_its_owner_alone_whatever_the_umask(void **state) {
  net n;
  struct stat st;
  mode_t before = umask(0);
  (void)state;
  begin(&n, NULL, NULL);
  umask(before);
  assert_int_equal(stat(n.address + 5, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  finish(&n);
}

static void
a_socket_file_that_a_killed_process_left_is_taken_over_and_a_live_one_is_not(void **state) {
  net n;
  char *why = NULL;
  char left[100];
  (void)state;
  begin(&n, NULL, NULL);
  assert_int_equal(copse_listen(n.client, n.address, (copse_bytes){NULL, 0}, &why), COPSE_ESYSTEM);
  assert_non_null(strstr(why, "in use"));
  free(why);
  snprintf(left, sizeof left, "unix:%s/left", n.dir);
  struct sockaddr_un un = name_of(left + 5);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
  close(fd); /* without unlink: as kill -9 would */
  assert_int_equal(copse_listen(n.client, left, (copse_bytes){NULL, 0}, NULL), COPSE_OK);
  finish(&n);
}

static void a_process_of_another_user_is_refused(void **state) {
  net n;
  char byte;
  (void)state;
  if (geteuid() != 0) skip();
  begin(&n, NULL, NULL);
  assert_int_equal(chmod(n.dir, 0755), 0);
  assert_int_equal(chmod(n.address + 5, 0666), 0); /* so that only the check of the user is left */
  int tell[2];
  assert_int_equal(pipe(tell), 0);
  pid_t pid = fork();
  if (pid == 0) {
    struct sockaddr_un un = name_of(n.address + 5);
    if (setgid(65534) || setuid(65534)) _exit(3);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&un, sizeof un)) _exit(4);
    if (write(tell[1], "x", 1) != 1) _exit(5);
    _exit(read(fd, &byte, 1) == 0 ? 0 : 6); /* not a byte, not even a HELLO */
  }
  int status;
  while (waitpid(pid, &status, WNOHANG) == 0) pair_turn(&n.loop);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_true(copse__list_empty(&n.server->links));
  close(tell[0]);
  close(tell[1]);
  finish(&n);
}

static void connections_that_say_nothing_push_the_oldest_of_their_kind_out(void **state) {
  enum { MANY = 70 };
  net n;
  int fds[MANY];
  char byte;
  (void)state;
  begin(&n, NULL, NULL);
  struct sockaddr_un un = name_of(n.address + 5);
  for (int i = 0; i < MANY; i++) {
    fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fds[i], (struct sockaddr *)&un, sizeof un), 0);
    pair_turn(&n.loop);
  }
  for (int i = 0; i < 5; i++) pair_turn(&n.loop);
  assert_int_equal(n.server->greeting, 64);
  assert_int_equal(read(fds[0], &byte, 1), 0);
  assert_int_equal(read(fds[MANY - 1], &byte, 1), -1);
  for (int i = 0; i < MANY; i++) close(fds[i]);
  while (n.server->greeting) pair_turn(&n.loop);
  finish(&n);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_are_read_strictly),
      cmocka_unit_test(a_path_that_is_too_long_for_a_socket_is_no_address),
      cmocka_unit_test(secrets_are_equal_only_when_all_of_them_is),
      cmocka_unit_test(a_connection_is_a_service_of_its_scope_and_goes_with_it),
      cmocka_unit_test(two_scopes_share_one_link_and_the_last_one_ends_it),
      cmocka_unit_test(a_connection_that_is_cancelled_while_it_greets_says_cancelled),
      cmocka_unit_test(a_cancelled_scope_waits_for_the_answer_to_bye_no_longer_than_its_grace),
      cmocka_unit_test(
          a_cancelled_scope_does_not_wait_for_what_its_peer_keeps_open_beyond_its_grace),
      cmocka_unit_test(
          a_scope_that_fails_with_its_link_does_not_wait_for_the_end_of_that_link_again),
      cmocka_unit_test(an_address_where_nobody_listens_is_unreachable),
      cmocka_unit_test(another_actor_at_the_address_is_wrong_actor),
      cmocka_unit_test(the_addresses_of_a_reference_are_tried_in_their_order),
      cmocka_unit_test(an_address_that_somebody_else_has_by_now_does_not_keep_from_the_next),
      cmocka_unit_test(a_tcp_listener_lets_in_only_who_has_the_token),
      cmocka_unit_test(the_token_may_come_from_a_file),
      cmocka_unit_test(what_must_not_be_listened_on_is_refused_with_a_reason),
      cmocka_unit_test(what_must_not_be_dialled_is_refused_at_once),
      cmocka_unit_test(a_socket_file_is_for_its_owner_alone_whatever_the_umask),
      cmocka_unit_test(
          a_socket_file_that_a_killed_process_left_is_taken_over_and_a_live_one_is_not),
      cmocka_unit_test(a_process_of_another_user_is_refused),
      cmocka_unit_test(connections_that_say_nothing_push_the_oldest_of_their_kind_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
