/* What the fuzzing programs share: numbers that are the same on every machine, and how a finding ends them. */
#ifndef IMAGEMILL_FUZZ_DICE_H
#define IMAGEMILL_FUZZ_DICE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state;

static void seed(const char *number) { state = strtoull(number, NULL, 10) * 0x9E3779B97F4A7C15ULL + 1; }

/* xorshift64*: the same seed breaks the same files the same way on every machine. */
static uint64_t any(uint64_t below) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 0x2545F4914F6CDD1DULL >> 11) % below;
}

/* So that what `fail` finds is remembered too. */
const char *__asan_default_options(void) { return "handle_abort=1"; }

static void fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    abort();
}

#endif
