/* Feeds generated pictures to the palette and to the measure of likeness, under AddressSanitizer and UBSan (`make fuzz`).
 *
 *   pictures_fuzz SEED EXECUTIONS
 *
 * Each execution draws a picture of random sides, kinds of colour and alpha, finds its palette, and holds what is said of
 * it against the pixels; then compares the two in grey. Now and then memory ends somewhere on the way. A finding ends the
 * program and names the execution: the same seed comes to it again.
 */
#include <math.h>
#include <string.h>

#include "dice.h"

static uint64_t memory_ends; /* at so many allocations more; 0: never */
static int has_ended(void) { return memory_ends && !--memory_ends; }
static void *scarce(size_t bytes) { return has_ended() ? NULL : malloc(bytes); }
static void *scarce_zeros(size_t count, size_t bytes) { return has_ended() ? NULL : calloc(count, bytes); }

#define malloc scarce
#define calloc scarce_zeros
#include "../../src/imagemill/imaging/palette.c"
#include "../../src/imagemill/imaging/ssim.c"
#undef malloc
#undef calloc

#define MOST_LONG 2000
#define NEARLY(a, b) (fabs((a) - (b)) <= 1e-3 + 1e-5 * fabs(b))

typedef struct {
    int width, height, colour_step, alpha_step;
    uint8_t *pixels; /* of exactly their size, so that reading past their end is seen */
} picture;

static uint8_t any_byte(int step) { return (uint8_t)((int)any(256) / step * step); }

static uint8_t sample_of(int kind, int x, int y, int axis, int step) {
    switch (kind) {
        case 0:
            return any_byte(step);
        case 1:
            return (uint8_t)((x * (axis + 1) + y) / step * step);
        case 2:
            return (uint8_t)((x / 8 + y / 8) % 2 * 255);
        case 3:
            return any(50) ? (uint8_t)(axis * 60) : any_byte(step);
        default:
            return (uint8_t)any(3); /* black, or nearly clear */
    }
}

/* A side of one pixel, a strip, or any: windows and blocks end everywhere. One in sixteen may have more colours than
 * there are entries. */
static picture drawn(void) {
    const uint64_t most = any(16) ? 50 : 150;
    picture made = {.width = (int)any(any(8) ? most : MOST_LONG) + 1};
    made.height = (int)any(made.width > 150 ? 12 : any(8) ? most : MOST_LONG / (uint64_t)made.width + 1) + 1;
    made.colour_step = (int)any(60) + 1;
    made.alpha_step = (int)any(60) + 1;
    const int edge = (int)any((uint64_t)made.width), colours[2] = {(int)any(5), (int)any(5)};
    const int alphas[2] = {(int)any(7), (int)any(7)};
    made.pixels = malloc((size_t)made.width * (size_t)made.height * 4);
    if (!made.pixels) fail("no memory to draw in");
    for (int at = 0; at < made.width * made.height; at++) {
        const int x = at % made.width, y = at / made.width, part = x >= edge;
        for (int axis = 0; axis < 3; axis++)
            made.pixels[at * 4 + axis] = sample_of(colours[part], x, y, axis, made.colour_step);
        made.pixels[at * 4 + 3] = alphas[part] > 4 ? 255 : sample_of(alphas[part], x, y, 3, made.alpha_step);
    }
    return made;
}

static size_t pixel_count(const picture *one) { return (size_t)one->width * (size_t)one->height; }

/* Mean difference of what is seen on black or white, as palette.h says it, from the pixels alone. */
static double seen_on(int ground, const picture *one, const uint8_t *indices, const palette_result *made) {
    double sum = 0;
    for (size_t at = 0; at < pixel_count(one); at++) {
        const uint8_t *was = one->pixels + at * 4, *is = made->colours[indices[at]];
        for (int axis = 0; axis < 3; axis++)
            sum += fabs((was[axis] - ground) * was[3] / 255.0 - (is[axis] - ground) * is[3] / 255.0);
    }
    return sum / (3.0 * pixel_count(one));
}

static int colours_of(const picture *one) {
    static uint32_t known[PALETTE_COLOURS];
    int count = 0;
    for (size_t at = 0; at < pixel_count(one); at++) {
        const uint32_t pixel = one->pixels[at * 4 + 3] ? read_pixel(one->pixels + at * 4) : 0;
        int number = 0;
        while (number < count && known[number] != pixel) number++;
        if (number == PALETTE_COLOURS) return PALETTE_COLOURS + 1;
        if (number == count) known[count++] = pixel;
    }
    return count;
}

static void check(const picture *one, const uint8_t *indices, const palette_result *made) {
    if (made->count < 1 || made->count > PALETTE_COLOURS) fail("it has no number of colours that a palette can have");
    for (int number = 1; number < made->count; number++)
        if (made->colours[number][3] < made->colours[number - 1][3]) fail("the clearest are not first");
    for (size_t at = 0; at < pixel_count(one); at++) {
        if (indices[at] >= made->count) fail("a pixel has a colour that is not there");
        if (!one->pixels[at * 4 + 3] && made->colours[indices[at]][3]) fail("what was clear is not");
    }
    const double black = seen_on(0, one, indices, made), white = seen_on(255, one, indices, made);
    if (!NEARLY(made->mean, black > white ? black : white)) fail("its mean difference is another");
    if (!(made->coarse >= 0 && made->coarse <= made->worst + 1e-6 && made->worst <= 255.01)) fail("no such difference");
    if (colours_of(one) <= PALETTE_COLOURS && made->mean > 0) fail("few colours, and not these");
}

static void compare_in_grey(const picture *one, const uint8_t *indices) {
    uint8_t *grey = malloc(pixel_count(one));
    if (!grey) fail("no memory to compare in");
    for (size_t at = 0; at < pixel_count(one); at++) grey[at] = one->pixels[at * 4];
    const int step = (int)any(9) + 1;
    const double same = requant_ssim(grey, grey, one->width, one->height, step);
    const double other = requant_ssim(grey, indices, one->width, one->height, step);
    if (!(fabs(same - 1) < 1e-3)) fail("it is not like itself");
    if (!(other > -1.01 && other < 1.01)) fail("no such likeness");
    free(grey);
}

static int run(void) {
    const picture one = drawn();
    palette_result made, again;
    uint8_t *indices = malloc(pixel_count(&one)), *same = malloc(pixel_count(&one));
    if (!indices || !same) fail("no memory for indices");
    memory_ends = any(20) ? 0 : any(10) + 1;
    const int is_made = palette_made(one.pixels, one.width, one.height, indices, &made), is_scarce = memory_ends != 0;
    memory_ends = 0;
    if (is_made) {
        check(&one, indices, &made);
        compare_in_grey(&one, indices);
    }
    if (is_made && !is_scarce && !any(8)) {
        if (!palette_made(one.pixels, one.width, one.height, same, &again)) fail("made once and not again");
        if (memcmp(&made, &again, sizeof made) || memcmp(indices, same, pixel_count(&one))) fail("not the same");
    }
    free(same);
    free(indices);
    free(one.pixels);
    return is_made;
}

static uint64_t done, executions;
void __asan_set_death_callback(void (*callback)(void)) __attribute__((weak));
static void say_which(void) { fprintf(stderr, "pictures_fuzz: in execution %llu\n", (unsigned long long)done); }

int main(int count, char **arguments) {
    uint64_t made = 0;
    if (count != 3) return 2;
    seed(arguments[1]);
    executions = strtoull(arguments[2], NULL, 10);
    if (__asan_set_death_callback) __asan_set_death_callback(say_which);
    for (; done < executions; done++) made += (uint64_t)run();
    printf("%llu pictures: %llu made, %llu without memory\n", (unsigned long long)done, (unsigned long long)made,
           (unsigned long long)(done - made));
    return 0;
}
