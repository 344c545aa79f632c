/*
 * token.h: "warren-gateway token": prints a token signed with the configured key.
 */
#ifndef WARREN_GATEWAY_TOKEN_TOKEN_H
#define WARREN_GATEWAY_TOKEN_TOKEN_H

#include "common/base.h"

/* argv[0] is the word "token". 0, or the exit code: 1 for what went wrong, 2 for a bad command
 * line; one line on standard error says why. */
int token_main(int argc, char **argv) MUST_CHECK;

#endif
