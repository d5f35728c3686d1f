/* How one block is read, by each kind of scan: sequential (ITU T.81, F.2), and the four of progression (G.2). */
#ifndef IMAGEMILL_REQUANT_READ_H
#define IMAGEMILL_REQUANT_READ_H

#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "requant_bits.h"
#include "requant_parts.h"

/* One component. In a ring only two rows of MCUs are stored: the others have been chosen, or are yet to come. */
typedef struct {
    int id, h, v;
    int across, down; /* blocks that hold picture */
    int wide;         /* blocks stored in a line */
    int is_ring;
    int dc, ac;       /* numbers of tables, in this scan */
    int before;       /* the last block's DC */
    int is_done;      /* sequential: it has had its scan */
    int16_t (*blocks)[BLOCK];
    size_t bytes; /* of `blocks` */
    uint64_t *kept;    /* progressive: which AC coefficients are not zero so far, in zigzag order */
    int8_t low[BLOCK]; /* progressive: how many bits of a coefficient are to come; -1 is all */
} part;

typedef struct {
    reader in;
    codes dc[NUM_HUFF_TBLS], ac[NUM_HUFF_TBLS];
    part parts[MAX_PLANES];
    part *now[MAX_PLANES]; /* in this scan */
    int count, from, until, high, low; /* of this scan: ITU T.81, B.2.3 */
    unsigned ended; /* blocks whose band is known to have ended */
    int interval, left, restarts;
    int is_progressive, is_ring, scans, max_scans;
    int across, down; /* MCUs of an interleaved scan */
    int no_memory;
    picture *image;
} decoder;

/* Blocks. Each of these returns 0 where something is wrong. */

typedef int (*block_reader)(decoder *all, part *one, size_t at);

static inline int read_dc(reader *in, const codes *with, part *one) {
    const entry found = next_code(in, with);
    int change = found.value;
    if (!found.length) return 0;
    skip(in, found.length);
    if (!change && found.symbol) change = extended(take(in, found.symbol), found.symbol);
    one->before += change;
    return one->before >= INT16_MIN && one->before <= INT16_MAX;
}

static inline int read_whole(decoder *all, part *one, size_t block_at) {
    reader in = all->in;
    int16_t *out = one->blocks[block_at];
    const codes *with = &all->ac[one->ac];
    memset(out, 0, sizeof *one->blocks);
    if (!read_dc(&in, &all->dc[one->dc], one)) return 0;
    out[0] = (int16_t)one->before;
    for (int at = 1; at < BLOCK; at++) {
        const entry found = next_code(&in, with);
        const int size = found.symbol & 15;
        if (!found.length) return 0;
        skip(&in, found.length);
        at += found.symbol >> 4;
        if (found.value && at < BLOCK) {
            out[requant_natural[at]] = found.value;
            continue;
        }
        if (!size && found.symbol != 0xF0) break;
        if (!size) continue;
        if (at >= BLOCK) return 0;
        out[requant_natural[at]] = (int16_t)extended(take(&in, size), size);
    }
    all->in = in;
    return 1;
}

static inline int read_dc_first(decoder *all, part *one, size_t block_at) {
    if (!read_dc(&all->in, &all->dc[one->dc], one)) return 0;
    one->blocks[block_at][0] = (int16_t)((unsigned)one->before << all->low);
    return 1;
}

static inline int read_dc_more(decoder *all, part *one, size_t block_at) {
    one->blocks[block_at][0] |= (int16_t)(take(&all->in, 1) << all->low);
    return 1;
}

/* A band's end for this block and as many as the code says, ITU T.81, G.1.2.2. */
static inline unsigned read_run(reader *in, int symbol) { return (1U << (symbol >> 4)) + take(in, symbol >> 4); }

static inline int read_band_first(decoder *all, part *one, size_t block_at) {
    if (all->ended) {
        all->ended--;
        return 1;
    }
    reader in = all->in;
    int16_t *out = one->blocks[block_at];
    const codes *with = &all->ac[one->ac];
    uint64_t kept = 0;
    for (int at = all->from; at <= all->until; at++) {
        const entry found = next_code(&in, with);
        const int size = found.symbol & 15;
        if (!found.length) return 0;
        skip(&in, found.length);
        if (!size && found.symbol != 0xF0) {
            all->ended = read_run(&in, found.symbol) - 1;
            break;
        }
        at += found.symbol >> 4;
        if (!size) continue;
        if (at > all->until) return 0;
        const int value = found.value ? found.value : extended(take(&in, size), size);
        const int16_t whole = (int16_t)((unsigned)value << all->low);
        out[requant_natural[at]] = whole;
        kept |= (uint64_t)(whole != 0) << at;
    }
    one->kept[block_at] |= kept;
    all->in = in;
    return 1;
}

static inline uint64_t band_of(int from, int until) {
    return from > until ? 0 : ~(uint64_t)0 << from & ~(uint64_t)0 >> (63 - until);
}

/* One more bit of each coefficient that is not zero, G.1.2.3. Most bits are as likely as not: no branch follows them. */
static inline void correct(reader *in, int16_t *out, uint64_t which, int low) {
    while (which) {
        int count = 0;
        if (in->held < 32) fill(in);
        for (uint64_t bits = in->bits; which && count < 32; which &= which - 1, bits <<= 1, count++) {
            int16_t *one = &out[requant_natural[lowest_bit(which)]];
            const int sign = *one >> 15, more = (int)(bits >> 63) & ~(*one >> low);
            *one = (int16_t)(*one + (((more << low) ^ sign) - sign));
        }
        skip(in, count);
    }
}

/* Where a coefficient lies that has `run` zeros before it; behind the band if there are not so many. */
static inline int after_zeros(uint64_t zeros, int run, int until) {
    for (; run && zeros; run--) zeros &= zeros - 1;
    return zeros ? lowest_bit(zeros) : until + 1;
}

static inline int read_band_more(decoder *all, part *one, size_t block_at) {
    uint64_t kept = one->kept[block_at];
    if (all->ended && !kept) {
        all->ended--;
        return 1;
    }
    reader in = all->in;
    int16_t *out = one->blocks[block_at];
    const int until = all->until, low = all->low;
    int at = all->from;
    while (!all->ended && at <= until) {
        const entry found = next_code(&in, &all->ac[one->ac]);
        const int size = found.symbol & 15;
        if (!found.length || size > 1) return 0;
        skip(&in, found.value ? found.length - size : found.length);
        if (!size && found.symbol != 0xF0) {
            all->ended = read_run(&in, found.symbol);
            break;
        }
        const int sign = size ? (int)take(&in, 1) * 2 - 1 : 0;
        const int to = after_zeros(~kept & band_of(at, until), found.symbol >> 4, until);
        correct(&in, out, kept & band_of(at, to - 1), low);
        if (size && to > until) return 0;
        if (size) {
            out[requant_natural[to]] = (int16_t)(sign * (1 << low));
            kept |= (uint64_t)1 << to;
        }
        at = to + 1;
    }
    if (all->ended) {
        correct(&in, out, kept & band_of(at, until), low);
        all->ended--;
    }
    one->kept[block_at] = kept;
    all->in = in;
    return 1;
}

#endif
