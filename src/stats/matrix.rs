//! Small dense matrices: Cholesky factors, symmetric eigenvalues and linear equations.

/// A square matrix by rows.
pub type Square<const N: usize> = [[f64; N]; N];

/// Product of two matrices.
#[must_use]
pub fn times<const N: usize>(left: &Square<N>, right: &Square<N>) -> Square<N> {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| (0..N).map(|k| left[row][k] * right[k][column]).sum())
    })
}

/// Product of a matrix and a vector.
#[must_use]
pub fn apply<const N: usize>(matrix: &Square<N>, vector: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|row| dot(&matrix[row], vector))
}

/// Rows as columns.
#[must_use]
pub fn transposed<const N: usize>(matrix: &Square<N>) -> Square<N> {
    std::array::from_fn(|row| std::array::from_fn(|column| matrix[column][row]))
}

/// Sum of products.
#[must_use]
pub fn dot<const N: usize>(left: &[f64; N], right: &[f64; N]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// The lower triangular matrix whose product with its transpose is `matrix`; `None` unless that is
/// positive definite.
#[must_use]
pub fn cholesky<const N: usize>(matrix: &Square<N>) -> Option<Square<N>> {
    let mut lower = [[0.0; N]; N];
    for row in 0..N {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| lower[row][k] * lower[column][k]).sum();
            let rest = matrix[row][column] - known;
            if row > column {
                lower[row][column] = rest / lower[column][column];
            } else if rest > 1e-14 * matrix[row][row] {
                lower[row][row] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(lower)
}

/// The inverse of a lower triangular matrix with no 0 on its diagonal.
#[must_use]
pub fn lower_inverse<const N: usize>(lower: &Square<N>) -> Square<N> {
    // By columns; what a column does not have yet is 0.
    let columns: Square<N> = std::array::from_fn(|column| {
        let mut solution = [0.0; N];
        for row in column..N {
            let wanted = if row == column { 1.0 } else { 0.0 };
            solution[row] = (wanted - dot(&lower[row], &solution)) / lower[row][row];
        }
        solution
    });
    transposed(&columns)
}

/// Eigenvalues of a symmetric matrix and its orthonormal eigenvectors as columns, by Jacobi's
/// rotations.
#[must_use]
pub fn eigen<const N: usize>(matrix: &Square<N>) -> ([f64; N], Square<N>) {
    let mut values = *matrix;
    let mut vectors: Square<N> = std::array::from_fn(|row| {
        std::array::from_fn(|column| if row == column { 1.0 } else { 0.0 })
    });
    // Each sweep squares what is left off the diagonal.
    for _ in 0..12 {
        for p in 0..N {
            for q in p + 1..N {
                if values[p][q] != 0.0 {
                    rotate(&mut values, &mut vectors, p, q);
                }
            }
        }
    }
    (std::array::from_fn(|place| values[place][place]), vectors)
}

/// One rotation in the plane of `p` and `q` that makes their entry 0.
fn rotate<const N: usize>(values: &mut Square<N>, vectors: &mut Square<N>, p: usize, q: usize) {
    let slope = (values[q][q] - values[p][p]) / (2.0 * values[p][q]);
    let tangent = if slope == 0.0 {
        1.0
    } else {
        slope.signum() / (slope.abs() + (1.0 + slope * slope).sqrt())
    };
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    for row in values.iter_mut().chain(vectors.iter_mut()) {
        (row[p], row[q]) = (cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]);
    }
    let (upper, lower) = (values[p], values[q]);
    values[p] = std::array::from_fn(|column| cosine * upper[column] - sine * lower[column]);
    values[q] = std::array::from_fn(|column| sine * upper[column] + cosine * lower[column]);
    values[p][q] = 0.0;
    values[q][p] = 0.0;
}

/// Solves `matrix x = right` by elimination with pivots; `None` when there is no solution or more
/// than one.
#[must_use]
pub fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for column in 0..size {
        let pivot = (column..size).max_by(|left, other| {
            matrix[*left][column].abs().total_cmp(&matrix[*other][column].abs())
        })?;
        if matrix[pivot][column].abs() < 1e-300 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (done, below) = matrix.split_at_mut(column + 1);
        let (known, unknown) = right.split_at_mut(column + 1);
        for (row, value) in below.iter_mut().zip(unknown) {
            let factor = row[column] / done[column][column];
            row.iter_mut()
                .zip(&done[column])
                .skip(column)
                .for_each(|(entry, over)| *entry -= factor * over);
            *value -= factor * known[column];
        }
    }
    let mut solution = vec![0.0; size];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|place| matrix[row][place] * solution[place]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn factors_and_eigenvectors_give_the_matrix_back(entries in prop::array::uniform9(-3.0..3.0_f64)) {
            let root: Square<3> = std::array::from_fn(|row| std::array::from_fn(|column| entries[3 * row + column]));
            let mut matrix = times(&root, &transposed(&root));
            (0..3).for_each(|place| matrix[place][place] += 0.1);
            let near = |left: &Square<3>, right: &Square<3>| left.iter().flatten().zip(right.iter().flatten()).all(|(l, r)| (l - r).abs() < 1e-11);
            let lower = cholesky(&matrix).unwrap();
            prop_assert!(near(&times(&lower, &transposed(&lower)), &matrix));
            let identity: Square<3> = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
            prop_assert!(near(&times(&lower, &lower_inverse(&lower)), &identity));
            let (values, vectors) = eigen(&matrix);
            prop_assert!(near(&times(&transposed(&vectors), &vectors), &identity));
            let diagonal: Square<3> = std::array::from_fn(|row| std::array::from_fn(|column| if row == column { values[row] } else { 0.0 }));
            prop_assert!(near(&times(&times(&vectors, &diagonal), &transposed(&vectors)), &matrix));
            let right = [1.0, -2.0, 0.5];
            let solution = solve(matrix.iter().map(|row| row.to_vec()).collect(), right.to_vec()).unwrap();
            prop_assert!(apply(&matrix, &[solution[0], solution[1], solution[2]]).iter().zip(right).all(|(l, r)| (l - r).abs() < 1e-9));
        }
    }

    #[test]
    fn a_singular_matrix_has_no_solution() {
        assert_eq!(cholesky(&[[1.0, 1.0], [1.0, 1.0]]), None);
        assert_eq!(solve(vec![vec![1.0, 2.0], vec![0.0, 0.0]], vec![1.0, 1.0]), None);
        assert_eq!(
            solve(vec![vec![0.0, 2.0], vec![4.0, 0.0]], vec![2.0, 4.0]),
            Some(vec![1.0, 1.0])
        );
    }
}
