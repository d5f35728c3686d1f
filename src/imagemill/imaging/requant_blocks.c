/* Chooses each block's new coefficients, and turns or merges blocks where the output wants that.
 *
 * Distances are kept in 1/32 of the new step (`scaled`), so that 16 bits hold every coefficient and eight are worked on
 * at once. A coefficient's fate is a trade of distortion against bits, block by block: see `best_path`.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "requant_parts.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* More than one build of a function, chosen when the program starts (GCC on glibc); elsewhere the plain one. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(REQUANT_ONE_BUILD)
#define MANY_BUILDS __attribute__((target_clones("avx2,fma", "default")))
#else
#define MANY_BUILDS
#endif

#define FRACTION 5        /* bits behind the point of `scaled` */
#define ONE (1 << FRACTION)
#define COEFFICIENT_MOST 1023 /* ITU T.81, F.1.2.2: ten bits for 8-bit samples; broken files have more */
#ifdef TUNE
extern float T_THRIFT, T_BUSY, T_MOST, T_LIVELY; extern int T_LEAST, T_ROUND;
#define THRIFT T_THRIFT
#define BUSY T_BUSY
#define THRIFT_MOST T_MOST
#define LIVELY T_LIVELY
#define LEAST T_LEAST
#define ROUND T_ROUND
#else
#define THRIFT 0.065F
#define BUSY (1.0F / 8000)
#define THRIFT_MOST 6.0F
#define LIVELY 0.12F
#define LEAST 14
#define ROUND 14
#endif
#define LOOK_BACK 12      /* how many earlier candidates a coefficient may follow directly */

const uint8_t requant_natural[BLOCK] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static const uint8_t zigzag[BLOCK] = {
    0,  1,  5,  6,  14, 15, 27, 28, 2,  4,  7,  13, 16, 26, 29, 42, 3,  8,  12, 17, 25, 30,
    41, 43, 9,  11, 18, 24, 31, 40, 44, 53, 10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38,
    46, 51, 55, 60, 21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63};

/* Lengths of ITU T.81's luminance AC codes (table K.5), which the trade reckons with: row by run, column by size. */
static const uint8_t usual_bits[16][11] = {
    {4, 2, 2, 3, 4, 5, 7, 8, 10, 16, 16},      {0, 4, 5, 7, 9, 11, 16, 16, 16, 16, 16},
    {0, 5, 8, 10, 12, 16, 16, 16, 16, 16, 16}, {0, 6, 9, 12, 16, 16, 16, 16, 16, 16, 16},
    {0, 6, 10, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 7, 11, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 7, 12, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 8, 12, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 9, 15, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 9, 16, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 9, 16, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 10, 16, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 10, 16, 16, 16, 16, 16, 16, 16, 16, 16}, {0, 11, 16, 16, 16, 16, 16, 16, 16, 16, 16},
    {0, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}, {11, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}};

/* Everything about one block's nonzero coefficients, in zigzag order. The first entry stands for the DC. */
typedef struct {
    int count;
    uint8_t at[BLOCK + 1];
    uint16_t level[BLOCK + 1];
    uint8_t from[BLOCK + 1]; /* the kept one before */
    float keeps[BLOCK + 1], drops[BLOCK + 1]; /* distortion either way */
} candidates;

static int bit_length(unsigned value) {
#if defined(__GNUC__)
    return value ? 32 - __builtin_clz(value) : 0;
#else
    int length = 0;
    for (; value; value >>= 1) length++;
    return length;
#endif
}

static int lowest_bit(uint64_t value) {
#if defined(__GNUC__)
    return __builtin_ctzll(value);
#else
    int at = 0;
    for (; !(value & 1); value >>= 1) at++;
    return at;
#endif
}

/* Scale a block to the new steps and say which coefficients come out at half a step or more. */
#if defined(__SSE2__)
static uint64_t scale(const int16_t *in, const uint16_t *ratio, uint16_t *scaled) {
    const __m128i most = _mm_set1_epi16(COEFFICIENT_MOST), below_half = _mm_set1_epi16((short)(LEAST - 1));
    uint64_t found = 0;
    for (int at = 0; at < BLOCK; at += 16) {
        __m128i is_large[2];
        for (int half = 0; half < 2; half++) {
            const int here = at + 8 * half;
            __m128i value = _mm_loadu_si128((const __m128i *)(in + here));
            value = _mm_max_epi16(value, _mm_subs_epi16(_mm_setzero_si128(), value));
            value = _mm_slli_epi16(_mm_min_epi16(value, most), FRACTION);
            value = _mm_mulhi_epu16(value, _mm_loadu_si128((const __m128i *)(ratio + here)));
            _mm_storeu_si128((__m128i *)(scaled + here), value);
            is_large[half] = _mm_cmpgt_epi16(value, below_half);
        }
        found |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_packs_epi16(is_large[0], is_large[1])) << at;
    }
    return found & ~(uint64_t)1;
}
#else
static uint64_t scale(const int16_t *in, const uint16_t *ratio, uint16_t *scaled) {
    uint64_t found = 0;
    for (int at = 1; at < BLOCK; at++) {
        int value = abs(in[at]);
        value = value > COEFFICIENT_MOST ? COEFFICIENT_MOST : value;
        scaled[at] = (uint16_t)(((uint32_t)value << FRACTION) * ratio[at] >> 16);
        found |= (uint64_t)(scaled[at] >= LEAST) << at;
    }
    return found;
}
#endif

static uint64_t in_zigzag(uint64_t natural) {
    uint64_t ordered = 0;
    for (; natural; natural &= natural - 1) ordered |= (uint64_t)1 << zigzag[lowest_bit(natural)];
    return ordered;
}

/* Round to the nearest level, down already from 0.6: the sources' steps are often half ours, so ties are common. */
static unsigned rounded(unsigned scaled) { return (scaled + ROUND) >> FRACTION; }

static float weigh(const plane *one, uint64_t found, const uint16_t *scaled, candidates *all) {
    float energy = 0;
    int count = 0;
    for (found = in_zigzag(found); found; found &= found - 1) {
        const int at = lowest_bit(found), natural = requant_natural[at];
        const unsigned value = scaled[natural];
        const unsigned level = value < ONE ? 1 : rounded(value);
        const float error = (float)((int)value - (int)(level << FRACTION)), weight = one->weight[natural];
        count++;
        all->at[count] = (uint8_t)at;
        all->level[count] = (uint16_t)level;
        all->keeps[count] = error * error * weight - LIVELY * (float)(level * level) * weight * (ONE * ONE);
        all->drops[count] = (float)value * (float)value * weight;
        energy += all->drops[count];
    }
    all->count = count;
    return energy;
}

static int bits_of(int run, int size) { return usual_bits[run & 15][size] + size + (run >> 4) * 11; }

/* Keep the coefficients that make distortion + price × bits least: a shortest path over the candidates, as each one's
 * code depends on how many zeros lie before it. Return the last one kept; `from` leads back to the first. */
static int best_path(candidates *all, float price) {
    float cost[BLOCK + 1]; /* relative to dropping everything */
    int last = 0;
    cost[0] = 0;
    float least = price * 4;
    for (int here = 1; here <= all->count; here++) {
        const int size = bit_length(all->level[here]), first = here > LOOK_BACK ? here - LOOK_BACK : 0;
        float best = INFINITY;
        for (int before = here - 1; before >= first; before--) {
            const float sum = cost[before] + price * (float)bits_of(all->at[here] - all->at[before] - 1, size);
            if (sum < best) {
                best = sum;
                all->from[here] = (uint8_t)before;
            }
        }
        cost[here] = best + all->keeps[here] - all->drops[here];
        const float whole = cost[here] + (all->at[here] == BLOCK - 1 ? 0 : price * 4);
        if (whole < least) {
            least = whole;
            last = here;
        }
    }
    return last;
}

static void put_token(token_list *out, uint32_t *seen, unsigned symbol, unsigned bits) {
    out->at[out->count++] = symbol << 16 | bits;
    seen[symbol]++;
}

static void put_coefficient(token_list *out, uint32_t *seen, int run, int value) {
    for (; run > 15; run -= 16) put_token(out, seen, 0xF0, 0);
    const int size = bit_length((unsigned)abs(value));
    /* ITU T.81, F.1.2.1: a negative value is written as the low bits of itself less one */
    const unsigned bits = (unsigned)(value < 0 ? value - 1 : value) & ((1U << size) - 1);
    put_token(out, seen, (unsigned)(run << 4 | size), bits);
}

static void put_path(token_list *out, uint32_t *seen, candidates *all, int last, const int16_t *in) {
    uint8_t kept[BLOCK];
    int count = 0, before = 0;
    for (int here = last; here; here = all->from[here]) kept[count++] = (uint8_t)here;
    while (count--) {
        const int at = all->at[kept[count]], level = all->level[kept[count]];
        put_coefficient(out, seen, at - before - 1, in[requant_natural[at]] < 0 ? -level : level);
        before = at;
    }
}

static int put_exactly(token_list *out, uint32_t *seen, const int16_t *in) {
    int before = 0;
    for (int at = 1; at < BLOCK; at++) {
        int value = in[requant_natural[at]];
        if (!value) continue;
        value = value > COEFFICIENT_MOST ? COEFFICIENT_MOST : value < -COEFFICIENT_MOST ? -COEFFICIENT_MOST : value;
        put_coefficient(out, seen, at - before - 1, value);
        before = at;
    }
    return before;
}

static int put_thriftily(token_list *out, uint32_t *seen, const plane *one, const int16_t *in) {
    uint16_t scaled[BLOCK];
    const uint64_t found = scale(in, one->ratio, scaled);
    if (!found) return 0;
    candidates all;
    all.at[0] = 0;
    const float energy = weigh(one, found, scaled, &all);
    /* Noise hides in texture: what similarity loses to an error falls with the block's own variance. */
    const float price = one->thrift * fminf(1 + energy * one->busy, one->thrift_most);
    const int last = best_path(&all, price);
    put_path(out, seen, &all, last, in);
    return all.at[last];
}

static int16_t dc_of(const plane *one, int value) {
    const int step = one->step[0], most = 1023;
    const int whole = abs(value) * one->dc_step;
    int level = (whole + step / 2) / step;
    if (level > most) level = most;
    return (int16_t)(value < 0 ? -level : level);
}

static void put_block(picture *image, int number, block *made, const int16_t *in) {
    plane *one = &image->plane[number];
    token_list *out = &image->tokens;
    made->first = (uint32_t)out->count;
    made->dc = dc_of(one, in[0]);
    const int last = one->is_exact ? put_exactly(out, out->seen[number], in)
                                   : put_thriftily(out, out->seen[number], one, in);
    made->tokens = (uint8_t)(out->count - made->first);
    made->is_ended = last != BLOCK - 1;
}

/* Where blocks come from */

static void turn_block(const turn *how, const int16_t *in, int16_t *out) {
    for (int at = 0; at < BLOCK; at++) out[at] = (int16_t)(in[how->from[at]] * how->sign[at]);
}

/* The block at x, y of the turned source; `room` is used where it must be computed. */
static const int16_t *source_block(const plane *one, int x, int y, int16_t *room) {
    const turn *how = one->turn;
    if (!how) return one->rows[y][x];
    if (how->flips_x) x = one->in_across - 1 - x;
    if (how->flips_y) y = one->in_down - 1 - y;
    turn_block(how, how->is_transposed ? one->rows[x][y] : one->rows[y][x], room);
    return room;
}

/* One dimension of two blocks becoming one: inverse 4-point transforms of both blocks' low halves, then an 8-point
 * transform of the eight samples, as one matrix. Its even rows are half the identity, its odd rows these; the right
 * block's part is the left one's with alternating signs. */
static const float merge_odd[4][4] = {{0.453063723F, 0.207867403F, -0.037328917F, 0.011443663F},
                                      {-0.159094823F, 0.395532542F, 0.256639984F, -0.048772581F},
                                      {0.106303762F, -0.176221475F, 0.384088878F, 0.245196320F},
                                      {-0.090119978F, 0.138892558F, -0.187665139F, 0.432861459F}};

typedef float lines[8][8];

/* Merge line j of the first block (0 to 3) with line j of the second (4 to 7). */
static inline void merge(lines in, lines out) {
    float odd[4][8];
    for (int j = 0; j < 4; j++) {
        const float sign = j & 1 ? -1.0F : 1.0F;
        for (int i = 0; i < 8; i++) {
            const float one = in[j][i], other = in[j + 4][i] * sign;
            out[2 * j][i] = 0.5F * (one + other);
            odd[j][i] = one - other;
        }
    }
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 8; i++)
            out[2 * k + 1][i] = merge_odd[k][0] * odd[0][i] + merge_odd[k][1] * odd[1][i] +
                                merge_odd[k][2] * odd[2][i] + merge_odd[k][3] * odd[3][i];
}

static inline void transpose(lines in, lines out) {
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 8; i++) out[i][j] = in[j][i];
}

MANY_BUILDS static void merge_lines(lines values, int x, int y, int16_t *out) {
    lines other;
    if (y) {
        merge(values, other);
        memcpy(values, other, sizeof(lines));
    }
    if (x) {
        transpose(values, other);
        merge(other, values);
        transpose(values, other);
        memcpy(values, other, sizeof(lines));
    }
    for (int at = 0; at < BLOCK; at++) {
        const float value = values[at / 8][at % 8];
        out[at] = (int16_t)(value + (value < 0 ? -0.5F : 0.5F));
    }
}

/* Take a block's corner that survives, in squares of 4 at line y and column x; `flips` mirrors it. */
static void gather(const plane *one, const int16_t *in, lines out, int y, int x) {
    const int high = one->halves_y ? 4 : 8, wide = one->halves_x ? 4 : 8;
    for (int j = 0; j < high; j++)
        for (int i = 0; i < wide; i++) out[y * 4 + j][x * 4 + i] = (float)(in[j * 8 + i] * one->old_step[j * 8 + i]);
}

static void mirror(lines all, int is_x, int is_y) {
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 8; i++) {
            if (is_y) all[4 + j][i] = j & 1 ? -all[j][i] : all[j][i];
            if (is_x) all[i][4 + j] = j & 1 ? -all[i][j] : all[i][j];
        }
}

/* Merge up to four blocks of a plane into one of half the resolution, in steps of 1. Past the edge the picture is
 * continued by its mirror image. */
static void merged_block(const plane *one, int x, int y, int16_t *out) {
    lines all;
    int16_t room[BLOCK];
    const int left = one->halves_x ? 2 * x : x, top = one->halves_y ? 2 * y : y;
    const int is_odd_x = one->halves_x && left + 1 >= one->in_across;
    const int is_odd_y = one->halves_y && top + 1 >= one->in_down;
    if (is_odd_x || is_odd_y) memset(all, 0, sizeof all);
    for (int j = 0; j <= (one->halves_y && !is_odd_y); j++)
        for (int i = 0; i <= (one->halves_x && !is_odd_x); i++)
            gather(one, source_block(one, left + i, top + j, room), all, j, i);
    mirror(all, is_odd_x, 0);
    mirror(all, 0, is_odd_y);
    merge_lines(all, one->halves_x, one->halves_y, out);
}

static int make_room(token_list *out) {
    if (out->room - out->count >= TOKENS_A_BLOCK) return 1;
    const size_t room = out->room + out->room / 2 + 64 * (size_t)TOKENS_A_BLOCK;
    token *grown = realloc(out->at, room * sizeof(token));
    if (!grown) return 0;
    out->at = grown;
    out->room = room;
    return 1;
}

int requant_choose(picture *image, int number) {
    plane *one = &image->plane[number];
    const int is_merged = one->halves_x || one->halves_y;
    int16_t made[BLOCK], room[BLOCK];
    for (int y = 0; y < one->down; y++)
        for (int x = 0; x < one->across; x++) {
            const int16_t *in = made;
            if (!make_room(&image->tokens)) return 0;
            if (is_merged)
                merged_block(one, x, y, made);
            else
                in = source_block(one, x, y, room);
            put_block(image, number, &one->blocks[(size_t)y * (size_t)one->across + (size_t)x], in);
        }
    return 1;
}


void requant_prepare(plane *one, double thrift) {
    const int is_merged = one->halves_x || one->halves_y;
    one->dc_step = is_merged ? 1 : one->old_step[0];
    one->is_exact = !is_merged && !memcmp(one->step, one->old_step, sizeof one->step);
    for (int at = 0; at < BLOCK; at++) {
        const uint32_t old = is_merged ? 1 : one->old_step[at], step = one->step[at];
        const uint32_t ratio = (old << 16) / step;
        one->ratio[at] = (uint16_t)(ratio > 0xFFFF ? 0xFFFF : ratio);
        one->weight[at] = (float)(step * step) / (ONE * ONE);
    }
    one->thrift = (float)thrift * THRIFT * (float)(one->step[1] * one->step[8]);
    one->busy = BUSY;
    one->thrift_most = THRIFT_MOST;
}
