package dev.ptq.method;

/** The leading part of a matrix by plain loops: one-sided Jacobi rotations. */
final class Jacobi {
    private Jacobi() {}

    /** Returns the best approximation of a rank, in double. */
    static double[][] leading(float[][] matrix, int rank) {
        int rows = matrix.length;
        int columns = matrix[0].length;
        double[][] u = new double[columns][rows]; // column by column
        double[][] v = new double[columns][columns];
        for (int j = 0; j < columns; j++) {
            v[j][j] = 1;
            for (int i = 0; i < rows; i++) {
                u[j][i] = matrix[i][j];
            }
        }
        for (int sweep = 0; sweep < 30; sweep++) {
            for (int p = 0; p < columns; p++) {
                for (int q = p + 1; q < columns; q++) {
                    rotate(u, v, p, q);
                }
            }
        }
        double[][] result = new double[rows][columns];
        boolean[] used = new boolean[columns];
        for (int r = 0; r < rank; r++) {
            int best = -1;
            for (int j = 0; j < columns; j++) {
                if (!used[j] && (best < 0 || dot(u[j], u[j]) > dot(u[best], u[best]))) {
                    best = j;
                }
            }
            used[best] = true;
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < columns; j++) {
                    result[i][j] += u[best][i] * v[best][j];
                }
            }
        }
        return result;
    }

    private static void rotate(double[][] u, double[][] v, int p, int q) {
        double alpha = dot(u[p], u[p]);
        double beta = dot(u[q], u[q]);
        double gamma = dot(u[p], u[q]);
        if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) {
            return;
        }
        double zeta = (beta - alpha) / (2 * gamma);
        double t = Math.copySign(1 / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta)), zeta);
        double cosine = 1 / Math.sqrt(1 + t * t);
        turn(u, p, q, cosine, cosine * t);
        turn(v, p, q, cosine, cosine * t);
    }

    private static void turn(double[][] columns, int p, int q, double cosine, double sine) {
        for (int i = 0; i < columns[p].length; i++) {
            double a = columns[p][i];
            double b = columns[q][i];
            columns[p][i] = cosine * a - sine * b;
            columns[q][i] = sine * a + cosine * b;
        }
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
