/* SPDX-License-Identifier: MIT
 *
 * rogue_template.h: templates that do not do what they are for.
 */
#ifndef COPSE_TEST_ROGUE_TEMPLATE_H
#define COPSE_TEST_ROGUE_TEMPLATE_H

/* Speaks with its parent as a template does, up to the point that `how` names, and
 * goes wrong there:
 *
 *   dead      exits before its hello          stranger   is of another version
 *   stopped   stops itself when asked         dying      exits when asked
 *   silent    never answers                   refusing   answers that there is no process
 *   mute      is stopped when its clone is there, which has not reported and never will
 *   orphaning exits then, and the clone has not reported either
 *   stillborn exits when its clone has died, which had not reported */
_Noreturn void rogue_template(const char *how);

#endif
