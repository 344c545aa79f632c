/*
 * mistake.h: when a sabotaged program does its wrong.
 *
 * Each file of this folder is one planted bug. It is linked around functions of the shipped
 * library (the linker's --wrap), so that the program is the shipped one but for that bug.
 */
#ifndef WARREN_TESTS_CAMPAIGN_SABOTAGE_MISTAKE_H
#define WARREN_TESTS_CAMPAIGN_SABOTAGE_MISTAKE_H

#include "common/base.h"

#define MISTAKE_EVERY 20 /* occasions */
#define MISTAKES_MAX 4   /* then all is well, so that a campaign ends in order */

/* An occasion: whether to use it. */
static inline bool mistake_now(void)
{
    static unsigned occasions, mistakes;

    if (mistakes == MISTAKES_MAX || ++occasions % MISTAKE_EVERY != 0) {
        return false;
    }
    mistakes++;
    return true;
}

#endif
