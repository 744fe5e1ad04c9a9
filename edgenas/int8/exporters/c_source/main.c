/* classify IMAGE.ppm: the class of one image of the network's own size (binary PPM or PGM, 8 bits).
 * Build: cc -std=c99 -O2 -o classify main.c */
#include <stdio.h>
#include <stdlib.h>

#include "network.c"

/* Return the next number of a PPM's head, past spaces and comments; -1 if there is none. */
static int number(FILE *file) {
    int c = fgetc(file), value = 0, digits = 0;
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '#') {
        if (c == '#')
            while (c != '\n' && c != EOF) c = fgetc(file);
        c = fgetc(file);
    }
    for (; c >= '0' && c <= '9' && digits < 6; ++digits, c = fgetc(file)) value = 10 * value + c - '0';
    return digits > 0 ? value : -1;
}

int main(int count, char **arguments) {
    static uint8_t pixels[EDGENAS_HEIGHT * EDGENAS_WIDTH * EDGENAS_CHANNELS];
    edgenas_value logits[EDGENAS_CLASSES];
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: classify IMAGE.ppm (%d x %d)\n", EDGENAS_WIDTH, EDGENAS_HEIGHT);
        return 2;
    }
    const int first = fgetc(file), second = fgetc(file);
    const int width = number(file), height = number(file), most = number(file);
    const int kind = EDGENAS_CHANNELS == 3 ? '6' : '5';
    if (first != 'P' || second != kind || width != EDGENAS_WIDTH || height != EDGENAS_HEIGHT ||
        most != 255 || fread(pixels, 1, sizeof pixels, file) != sizeof pixels) {
        fprintf(stderr, "%s is no P%c image of %d x %d with 8 bits\n", arguments[1], kind,
                EDGENAS_WIDTH, EDGENAS_HEIGHT);
        fclose(file);
        return 2;
    }
    fclose(file);
    edgenas_classify(pixels, logits);
    int best = 0;
    for (int i = 1; i < EDGENAS_CLASSES; ++i)
        if (logits[i] > logits[best]) best = i;
    printf("class %d, logit %g\n", best,
           (double)((logits[best] - EDGENAS_LOGIT_ZERO) * EDGENAS_LOGIT_SCALE));
    return 0;
}
