/* SPDX-License-Identifier: MIT
 *
 * Code that computes and does not come back: the CPU-time timer asks it to look at its links, and
 * only when there is something to see. */
#include "runtime_core_pair.h"

#include <time.h>

typedef struct burner {
  copse_job job;
  pair *p;
  copse_context *far, *near;
  volatile sig_atomic_t asked;
  int asked_for_nothing;
  bool burnt, done;
} burner;

static void interrupt(void *arg) { ((burner *)arg)->asked = 1; }

static void serve(copse_context *ctx, copse_bytes args, void *arg) {
  (void)args;
  ((burner *)arg)->far = ctx;
}

static bool on_done(copse_context *ctx, const copse_outcome *outcome, void *arg) {
  (void)ctx;
  (void)outcome;
  return ((burner *)arg)->done = true;
}

static void burn_ms(long ms) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  long end = t.tv_sec * 1000 + t.tv_nsec / 1000000 + ms;
  do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < end);
}

static void burn(copse_job *job) {
  burner *h = (burner *)(void *)job;
  copse_scope *scope = copse_context_scope(h->far);
  /* Once in any case: what was read together with the frame that began this may be
   * in the engine already. */
  while (!h->asked) burn_ms(1);
  copse_pump(h->p->b);
  h->asked = 0;
  burn_ms(120);
  h->asked_for_nothing = h->asked;
  copse_cancel(h->near, COPSE_ORIGIN_REQUESTED, "stop burning", -1);
  copse__link_flush(h->p->la);
  while (!copse_scope_is_cancelled(scope)) {
    if (!h->asked) continue;
    h->asked = 0;
    copse_pump(h->p->b);
  }
  h->burnt = true;
}

static void hot_code_is_asked_to_pump_when_something_came_and_not_before(void **state) {
  pair *p = pair_new(NULL);
  burner h = {.p = p, .job = {.cb = burn}};
  ending e;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  (void)state;
  copse_export(p->b, "burn", serve, &h, COPSE_FROM_ANYONE, false);
  copse_set_interrupt(p->b, interrupt, &h);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  o.target = "burn";
  o.cbs.done = on_done;
  o.data = &h;
  assert_int_equal(copse_open(p->to_b, scope, &o, &h.near), COPSE_OK);
  pair_settle(p);
  copse_post(p->b, &h.job);
  pair_until(p, &h.done);
  assert_true(h.burnt);
  assert_int_equal(h.asked_for_nothing, 0);
  copse_set_interrupt(p->b, NULL, NULL);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  pair_free(p);
}

static void burn_until_expired(copse_job *job) {
  burner *h = (burner *)(void *)job;
  copse_scope *scope = copse_context_scope(h->far);
  while (!copse_scope_is_cancelled(scope)) {
    if (!h->asked) continue;
    h->asked = 0;
    copse_pump(h->p->b);
  }
  h->burnt = true;
}

static void a_deadline_that_comes_in_the_middle_of_hot_code_is_seen_there(void **state) {
  pair *p = pair_new(NULL);
  burner h = {.p = p, .job = {.cb = burn_until_expired}};
  ending e;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  (void)state;
  copse_export(p->b, "burn", serve, &h, COPSE_FROM_ANYONE, false);
  copse_set_interrupt(p->b, interrupt, &h);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  o.target = "burn";
  o.deadline_ms = 300;
  o.cbs.done = on_done;
  o.data = &h;
  assert_int_equal(copse_open(p->to_b, scope, &o, &h.near), COPSE_OK);
  while (!h.far) pair_turn(&p->loop);
  copse_post(p->b, &h.job);
  pair_until(p, &h.done);
  assert_true(h.burnt);
  copse_set_interrupt(p->b, NULL, NULL);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  pair_free(p);
}

static void cut_and_burn(copse_job *job) {
  burner *h = (burner *)(void *)job;
  copse__link_abort(h->p->la, COPSE_CODE_LINK_LOST, "cut in the middle of it");
  burn_until_expired(job);
}

static void a_link_that_is_lost_in_the_middle_of_hot_code_cancels_it_there(void **state) {
  pair *p = pair_new(NULL);
  burner h = {.p = p, .job = {.cb = cut_and_burn}};
  ending e;
  copse_open_options o = COPSE_OPEN_OPTIONS;
  (void)state;
  copse_export(p->b, "burn", serve, &h, COPSE_FROM_ANYONE, false);
  copse_set_interrupt(p->b, interrupt, &h);
  copse_scope *scope = pair_scope(p->a, &e, -1);
  o.target = "burn";
  o.cbs.done = on_done;
  o.data = &h;
  assert_int_equal(copse_open(p->to_b, scope, &o, &h.near), COPSE_OK);
  while (!h.far) pair_turn(&p->loop);
  copse_post(p->b, &h.job);
  pair_until(p, &h.done);
  assert_true(h.burnt);
  copse_set_interrupt(p->b, NULL, NULL);
  copse_scope_seal(scope, NULL);
  pair_until(p, &e.ended);
  pair_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hot_code_is_asked_to_pump_when_something_came_and_not_before),
      cmocka_unit_test(a_deadline_that_comes_in_the_middle_of_hot_code_is_seen_there),
      cmocka_unit_test(a_link_that_is_lost_in_the_middle_of_hot_code_cancels_it_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
