package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.evaluate.PairedBootstrap.Interval;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleUnaryOperator;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class PairedBootstrapTest {
    /** The standard normal distribution's 97.5 % quantile. */
    private static final double Z = 1.959964;

    /** The same draws, one statistic at a time, from what the class says of itself. */
    @Test
    void equalsAnObviousImplementation() {
        double[] best = {1, 2, 3, 4, 5, 6, 7};
        double[] plain = {3.5, 4, 5.25, 6, 7.5, 9, 9.25};
        double[] own = {1.5, 2.75, 3.5, 4, 5.5, 7, 7.25};
        double[] weights = {1, 2, 0, 3, 1, 0.5, 2};
        int[] items = {0, 1, 3, 4, 5, 6};
        double[] differences = new double[10_000];
        double[] shares = new double[10_000];
        SplittableRandom random = new SplittableRandom(PairedBootstrap.SEED);
        for (int resample = 0; resample < 10_000; resample++) {
            double weight = 0;
            double lost = 0;
            double back = 0;
            for (int draw = 0; draw < items.length; draw++) {
                double u = (random.nextInt() & 0xFFFFFFFFL) / 4294967296.0;
                int item = items[(int) Math.floor(items.length * u)];
                weight += weights[item];
                lost += weights[item] * (plain[item] - best[item]);
                back += weights[item] * (plain[item] - own[item]);
            }
            differences[resample] = lost / weight;
            shares[resample] = back / lost;
        }
        Arrays.sort(differences);
        Arrays.sort(shares);

        PairedBootstrap bootstrap = new PairedBootstrap(weights, List.of(best, plain, own));

        // sums of seven values in another order
        Offset<Double> rounding = within(1e-13);
        Interval difference = bootstrap.difference(1, 0).orElseThrow();
        assertThat(difference.low()).isCloseTo(differences[250], rounding);
        assertThat(difference.high()).isCloseTo(differences[9749], rounding);
        Interval share = bootstrap.recovered(0, 1, 2).orElseThrow();
        assertThat(share.low()).isCloseTo(shares[250], rounding);
        assertThat(share.high()).isCloseTo(shares[9749], rounding);
    }

    /**
     * The interval of a mean of many values is the normal one. An end is a 2.5 % quantile of 10 000 resamples, whose own
     * standard error is sqrt(0.025 0.975 / 10 000) / density = 0.027 standard errors of the mean; allowed is four times
     * that.
     */
    @Test
    void isTheNormalIntervalForManyItems() {
        int n = 2000;
        double[] plain = values(n, 1, u -> 3 + u);
        double[] own = plus(plain, values(n, 2, u -> -0.1 + 0.5 * u));
        double[] differences = minus(own, plain);
        double mean = Arrays.stream(differences).average().orElseThrow();
        double error = Math.sqrt(variance(differences) / n);

        Interval interval = bootstrap(plain, own).difference(1, 0).orElseThrow();

        assertThat(interval.low()).isCloseTo(mean - Z * error, within(0.11 * error));
        assertThat(interval.high()).isCloseTo(mean + Z * error, within(0.11 * error));
    }

    /** The ratio of two means has the standard error of {@code (back - share lost) / mean(lost)}. */
    @Test
    void theShareHasTheIntervalOfARatio() {
        int n = 2000;
        double[] best = values(n, 1, u -> 3 + u);
        double[] lost = values(n, 2, u -> 0.2 + 0.1 * u);
        double[] left = values(n, 3, u -> 0.05 + 0.05 * u);
        double meanLost = Arrays.stream(lost).average().orElseThrow();
        double share = 1 - Arrays.stream(left).average().orElseThrow() / meanLost;
        double[] deviations = new double[n];
        for (int i = 0; i < n; i++) {
            deviations[i] = (lost[i] - left[i] - share * lost[i]) / meanLost;
        }
        double error = Math.sqrt(variance(deviations) / n);

        Interval interval = bootstrap(best, plus(best, lost), plus(best, left))
                .recovered(0, 1, 2)
                .orElseThrow();

        // the ratio's second-order term is mean(lost)'s relative error, a hundredth, of a standard error
        assertThat(interval.low()).isCloseTo(share - Z * error, within(0.14 * error));
        assertThat(interval.high()).isCloseTo(share + Z * error, within(0.14 * error));
    }

    /** Of 200 texts of 40 chunks; the binomial's standard deviation is three, and small samples cover a little less. */
    @Test
    void coversTheTruthAsOftenAsItSays() {
        double truth = 0.02;
        int covered = 0;
        for (int text = 0; text < 200; text++) {
            double[] plain = values(40, 1000 + text, u -> 2 + u);
            double[] own = plus(plain, values(40, 5000 + text, u -> truth + 0.05 * u));
            Interval interval = bootstrap(plain, own).difference(1, 0).orElseThrow();
            // unpaired, the interval would be twenty times as wide
            assertThat(interval.high() - interval.low()).isLessThan(0.06);
            covered += interval.low() <= truth && truth <= interval.high() ? 1 : 0;
        }
        assertThat(covered).isBetween(180, 197);
    }

    @Test
    void equalInputGivesEqualIntervals() {
        double[] a = values(30, 1, u -> u);
        double[] b = values(30, 2, u -> u);

        assertThat(bootstrap(a, b).difference(0, 1)).isEqualTo(bootstrap(a, b).difference(0, 1));
        // nor does a third variant matter, or the order
        Interval one = bootstrap(a, b).difference(0, 1).orElseThrow();
        Interval other = bootstrap(b, a, a).difference(0, 1).orElseThrow();
        assertThat(other).isEqualTo(new Interval(-one.high(), -one.low()));
    }

    @Test
    void equalVariantsDifferByNothing() {
        double[] a = values(30, 1, u -> u);
        PairedBootstrap bootstrap = bootstrap(a, a.clone(), a);

        assertThat(bootstrap.difference(1, 0)).contains(new Interval(0, 0));
        assertThat(bootstrap.recovered(0, 1, 2)).isEmpty();
    }

    @Test
    void oneItemHasNoInterval() {
        assertThat(bootstrap(new double[] {1}, new double[] {2}).difference(1, 0))
                .isEmpty();
        PairedBootstrap left = new PairedBootstrap(
                new double[] {0, 0.5}, List.of(new double[] {Double.NaN, 1}, new double[] {Double.NaN, 2}));
        assertThat(left.difference(1, 0)).isEmpty();
        assertThat(left.recovered(0, 1, 0)).isEmpty();
    }

    /** A loss on half the chunks and a gain on the others is at times no loss. */
    @Test
    void aLossThatMayBeNoneHasNoShares() {
        double[] best = {1, 1, 1, 1, 1, 1};
        double[] plain = {2, 2, 2, 0.5, 0.5, 0.5};
        double[] own = {1, 1, 1, 1, 1, 1};

        assertThat(bootstrap(best, plain, own).difference(1, 0)).isPresent();
        assertThat(bootstrap(best, plain, own).recovered(0, 1, 2)).isEmpty();
    }

    @Test
    void refusesWhatIsNotPaired() {
        double[] two = {1, 2};
        assertThatIllegalArgumentException()
                .isThrownBy(() -> bootstrap(two, new double[] {1, 2, 3}))
                .withMessage("expected a value for each of 2 items, got 3");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> bootstrap(two, new double[] {1, Double.NaN}))
                .withMessage("item 1 has the value NaN and the weight 1.0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new PairedBootstrap(new double[2], List.of(two)))
                .withMessage("no item has a weight");
    }

    private static PairedBootstrap bootstrap(double[]... variants) {
        double[] weights = new double[variants[0].length];
        Arrays.fill(weights, 1);
        return new PairedBootstrap(weights, List.of(variants));
    }

    /** Values of {@code transform} at standard normal numbers. */
    private static double[] values(int n, long seed, DoubleUnaryOperator transform) {
        SplittableRandom random = new SplittableRandom(seed);
        double[] values = new double[n];
        for (int i = 0; i < n; i++) {
            double radius = Math.sqrt(-2 * Math.log(1 - random.nextDouble()));
            values[i] = transform.applyAsDouble(radius * Math.cos(2 * Math.PI * random.nextDouble()));
        }
        return values;
    }

    private static double[] plus(double[] a, double[] b) {
        double[] sum = new double[a.length];
        Arrays.setAll(sum, i -> a[i] + b[i]);
        return sum;
    }

    private static double[] minus(double[] a, double[] b) {
        double[] difference = new double[a.length];
        Arrays.setAll(difference, i -> a[i] - b[i]);
        return difference;
    }

    private static double variance(double[] values) {
        double mean = Arrays.stream(values).average().orElseThrow();
        return Arrays.stream(values)
                .map(value -> (value - mean) * (value - mean))
                .average()
                .orElseThrow();
    }
}
