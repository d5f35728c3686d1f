/* Reads Huffman codes, ITU T.81, annex F.2: 64 bits ahead, one look-up for a code and, where they fit, its extra bits. */
#ifndef IMAGEMILL_REQUANT_BITS_H
#define IMAGEMILL_REQUANT_BITS_H

#include <stdint.h>

#define LOOK 11 /* bits of a look-up: nine in ten coefficients of a photograph come out of one */
#define CODE_MOST 16

/* What the next bits mean: a symbol, and its value if that was seen too. Length 0: no such code. */
typedef struct {
    int16_t value;
    uint8_t symbol, length; /* of the code, and of the value's bits if that is not 0 */
} entry;

typedef struct {
    entry look[1 << LOOK];
    uint32_t end[CODE_MOST + 1]; /* the first code that is not of this length, as 16 bits */
    int first[CODE_MOST + 1];    /* where the symbols of a length are, less the first code of it */
    uint8_t count[CODE_MOST + 1], symbols[256];
    int total, is_there, is_built;
} codes;

typedef struct {
    const uint8_t *at, *end;
    uint64_t bits; /* left-aligned */
    int held;
    int lent; /* of those held: zeros that are not in the file */
} reader;

static inline int is_any_ff(uint64_t eight) {
    return ((~eight - 0x0101010101010101U) & eight & 0x8080808080808080U) != 0;
}

/* Up to a marker, which is not read: from there on zeros are lent. By value, here and below: a reader whose address is
 * given away is kept in memory, and its bits are what everything waits for. */
static reader filled_slowly(reader in) {
    while (in.held <= 56) {
        unsigned byte = 0;
        if (in.at < in.end && *in.at != 0xFF) {
            byte = *in.at++;
        } else if (in.end - in.at >= 2 && in.at[1] == 0) {
            byte = 0xFF;
            in.at += 2;
        } else {
            in.lent += 8;
        }
        in.bits |= (uint64_t)byte << (56 - in.held);
        in.held += 8;
    }
    return in;
}

/* Bits behind the held ones may be set: they are those of the next byte, which is or'ed in again. */
static inline void fill(reader *in) {
    if (in->end - in->at >= 8) {
        uint64_t eight = 0;
        for (int i = 0; i < 8; i++) eight = eight << 8 | in->at[i];
        if (!is_any_ff(eight)) {
            const int bytes = (63 - in->held) >> 3;
            in->bits |= eight >> in->held;
            in->at += bytes;
            in->held += 8 * bytes;
            return;
        }
    }
    *in = filled_slowly(*in);
}

static inline void skip(reader *in, int count) {
    in->bits <<= count;
    in->held -= count;
}

/* 0 to 16 bits. */
static inline unsigned take(reader *in, int count) {
    if (in->held < CODE_MOST) fill(in);
    const unsigned value = (unsigned)(in->bits >> 1 >> (63 - count));
    skip(in, count);
    return value;
}

/* ITU T.81, F.12: values without their top bit are negative. */
static inline int extended(unsigned bits, int size) {
    return (int)bits - (bits >> (size - 1) ? 0 : (1 << size) - 1);
}

static entry long_code(uint64_t bits, const codes *with) {
    const uint32_t sixteen = (uint32_t)(bits >> 48);
    entry found = {0};
    for (int length = LOOK + 1; length <= CODE_MOST; length++)
        if (sixteen < with->end[length]) {
            found.symbol = with->symbols[with->first[length] + (int)(sixteen >> (CODE_MOST - length))];
            found.length = (uint8_t)length;
            break;
        }
    return found;
}

/* The next code, not skipped yet. 31 bits are held then: enough for it and for 15 extra ones. */
static inline entry next_code(reader *in, const codes *with) {
    if (in->held < 32) fill(in);
    const entry found = with->look[in->bits >> (64 - LOOK)];
    return found.length ? found : long_code(in->bits, with);
}

/* Have all bits been read, but for those that fill the last byte, and none beyond? */
static inline int is_spent(const reader *in) { return in->held >= in->lent && in->held - in->lent < 8; }

static void spread(codes *one, unsigned code, int length, uint8_t symbol) {
    const int size = symbol & 15, spare = LOOK - length;
    for (unsigned rest = 0; rest < 1U << spare; rest++) {
        entry *to = &one->look[code << spare | rest];
        to->symbol = symbol;
        to->length = (uint8_t)length;
        to->value = 0;
        if (!size || size > spare) continue;
        to->value = (int16_t)extended(rest >> (spare - size), size);
        to->length = (uint8_t)(length + size);
    }
}

/* 0: codes that no encoder may write (ITU T.81, annex C). */
static int build_codes(codes *one) {
    unsigned code = 0;
    int at = 0;
    for (int i = 0; i < 1 << LOOK; i++) one->look[i].length = 0;
    for (int length = 1; length <= CODE_MOST; length++, code <<= 1) {
        one->first[length] = at - (int)code;
        for (int i = 0; i < one->count[length]; i++, at++, code++)
            if (code < 1U << length && length <= LOOK) spread(one, code, length, one->symbols[at]);
        if (code >= 1U << length) return 0; /* all ones are no code */
        one->end[length] = code << (CODE_MOST - length);
    }
    one->is_built = 1;
    return 1;
}

#endif
