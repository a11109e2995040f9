package dev.ptq.evaluate;

/** McNemar's exact test for two classifiers on the same items. */
public final class McNemar {
    private McNemar() {}

    /**
     * Returns the two-sided probability of counts at least this uneven if both are right equally often: {@code min(1, 2
     * P(X <= min(onlyFirst, onlySecond)))} for X of {@code Binomial(onlyFirst + onlySecond, 1/2)}.
     *
     * @param onlyFirst items that only the first has right
     * @param onlySecond likewise
     */
    public static double probability(int onlyFirst, int onlySecond) {
        int all = Math.addExact(onlyFirst, onlySecond);
        int fewer = Math.min(onlyFirst, onlySecond);
        double logTerm = -all * Math.log(2);
        double sum = Math.exp(logTerm);
        for (int k = 1; k <= fewer; k++) {
            logTerm += Math.log(all - k + 1) - Math.log(k);
            sum += Math.exp(logTerm);
        }
        return Math.min(1, 2 * sum);
    }
}
