/*
 * file.h: small files of text, read whole.
 */
#ifndef WARREN_COMMON_FILE_H
#define WARREN_COMMON_FILE_H

#include "common/base.h"
#include "common/buf.h"

/* Appends all of a file of at most `max` bytes, none of them NUL. 0, or -1 with a few words why;
 * part of it may be in `out` then. */
int file_read(const char *path, size_t max, struct buf *out, const char **reason) MUST_CHECK;

#endif
